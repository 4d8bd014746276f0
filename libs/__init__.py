"""What services promise each other (``contracts``) and how any service runs (``chassis``)."""
