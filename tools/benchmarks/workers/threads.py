"""A Python process with so many threads that wait, the way of an executor with long actions: threads.py COUNT"""

import sys
import threading

for _ in range(int(sys.argv[1])):
    threading.Thread(target=threading.Event().wait, daemon=True).start()
print("ready", flush=True)
threading.Event().wait()
