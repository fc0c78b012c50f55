"""Creates a cluster with `requests`, on nodes whose certificate nobody knows. create.py USER PASSWORD URL..."""

import sys
import time

import requests
import urllib3

urllib3.disable_warnings()
user, password = sys.argv[1:3]


def wait_for(session, url, wanted):
    while True:
        answer = session.get(url + "/v1/bootstrap", timeout=5)
        answer.raise_for_status()
        state = answer.json()["bootstrap_status"]["state"]
        if state == wanted:
            return
        assert state != "error", answer.text
        time.sleep(0.1)


for url in sys.argv[3:]:
    with requests.Session() as session:
        session.verify = False
        session.auth = (user, password)
        wait_for(session, url, "idle")
        body = {
            "action": "create_cluster",
            "cluster": {"name": "python.test"},
            "credentials": {"username": user, "password": password},
        }
        answer = session.post(url + "/v1/bootstrap/create_cluster", json=body, timeout=30)
        answer.raise_for_status()
        assert answer.text == "", answer.text
        wait_for(session, url, "completed")
        assert session.get(url + "/v1/cluster").json()["name"] == "python.test"
        again = session.post(url + "/v1/bootstrap/create_cluster", json=body)
        assert again.status_code == 409 and "already" in again.json()["description"], again.text
    # A call of its own, and one with its body as text.
    nodes = requests.get(url + "/v1/nodes", auth=(user, password), verify=False).json()
    print([node["status"] for node in nodes])
    refused = requests.post(url + "/v1/bootstrap/create_cluster", data="{}", auth=(user, "wrong"), verify=False)
    assert refused.status_code == 401, refused.text
