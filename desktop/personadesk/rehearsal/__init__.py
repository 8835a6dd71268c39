"""Pretend providers that speak the real ones' APIs on this computer: to learn, show and test PersonaDesk at no cost.

Not for the providers' files: nothing here imports them, so that one does not copy the other's mistakes.
"""
