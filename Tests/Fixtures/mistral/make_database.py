"""Makes Mistral's tables in the SQLite file that a mistral.conf names.

Its own migrations do not run on SQLite; the models do, and one engine on loopback is all that a test needs.
"""

import sys

try:
    from oslo_service import backend
except ImportError:
    pass  # Mistral 15 knows eventlet alone.
else:
    backend.init_backend(backend.BackendType.THREADING)

from mistral import config  # noqa: E402  (after the backend, as Mistral's own programs do)
from mistral.db.v2 import api  # noqa: E402

config.parse_args(["--config-file", sys.argv[1]])
api.setup_db()
