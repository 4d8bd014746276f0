"""The daemon behind `yokocho up`: starts everything, restarts what dies, owns the public sockets.

Imports as little as it can: it is the one process that must never be the reason for trouble.
"""
