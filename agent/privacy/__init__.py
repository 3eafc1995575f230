"""The blindfold: identity is taken out of what leaves, put back into what comes, and looked for before the socket."""
