"""RunPod pods, by RunPod's REST API version 2; its GraphQL is asked for the balance, which that does not tell."""

from personadesk.providers.runpod.calls import RunPod

__all__ = ["RunPod"]
