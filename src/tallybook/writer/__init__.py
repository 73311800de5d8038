"""The one door for writes: commands gather, are decided by pure rules, and commit together.

Read model.py for the words, hashing.py for what makes two requests the same, transact.py for one
batch, batch.py for what it comes to, loading.py for its locks, door.py for the threads and their
queue, lane.py for what it takes to get a batch committed, apart.py for a lane whose work another
process does, frames.py for what goes between the two. store.py has the door's own tables and the
hash chains, queries.py reads keys and when the first event was, sealing.py keeps the seals of all
tables and resealing.py makes them anew. book_key.py keeps which master key the book goes with.
"""
