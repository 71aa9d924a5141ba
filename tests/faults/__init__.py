"""The fault suite: `python -m tests.faults` breaks each part of the platform and counts what passengers got.

Each fault runs in a process and on servers of its own (`rig`), says what it does in one function (`workers`,
`broker`, `queues`), and is judged by what the four ledgers say afterwards (`ledger`, `invariants`, `canaries`).
"""
