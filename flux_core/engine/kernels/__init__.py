"""The text of kernels, and what they share: read by the store as text, imported only while one is compiled."""
