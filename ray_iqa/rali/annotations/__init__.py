"""What a policy wrote about pictures, as rows that the fit reads."""
