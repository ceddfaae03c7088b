#!/usr/bin/env python3
"""Lists VIMs with the client's own library, page by page: one JSON array of names a line.

usage: list_pages.py URL PAGE_SIZE
"""

import json
import sys

from keystoneauth1 import noauth, session
from tackerclient.v1_0 import client

endpoint, page_size = sys.argv[1], int(sys.argv[2])
tacker = client.Client(session=session.Session(auth=noauth.NoAuth(endpoint=endpoint)), endpoint_override=endpoint)
for page in tacker.list_vims(retrieve_all=False, limit=page_size, sort_key="name", sort_dir="asc"):
    print(json.dumps([vim["name"] for vim in page["vims"]]), flush=True)
