"""The one door for writes: commands gather, are decided by pure rules, and commit together.

Read model.py for the words, transact.py for one batch, loading.py for its locks, door.py for the
threads and their queue, lane.py for what it takes to get a batch committed.
"""
