"""What stands before every route, from the outside in: guard, access, admission."""
