"""The blindfold: identity is taken out of what leaves, put back into what comes, and looked for before the socket.

README.md beside this file says what is veiled, and what is not and cannot be.
"""
