"""The HTTP endpoint, without Ray: what is asked, what is answered, and what is refused."""
