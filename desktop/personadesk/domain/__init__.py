"""What things are: values and pure rules, no input or output."""
