"""What is attached to an image so that others can trust it.

What is inside, how it was made, and who says so. Pure: values in, bytes out, and the same values
give the same bytes.
"""
