"""Getting the released model from Hugging Face: resumed after any cut, checked to the last byte, told in sentences."""
