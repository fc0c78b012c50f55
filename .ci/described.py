"""What no schema can say, so that who makes up requests keeps to it too."""

import json

import schemathesis

PORTS = {
    "cnm_https_port": 9443,
    "crdb_coordinator_port": 9081,
    "envoy_admin_port": 8002,
    "envoy_mgmt_server_port": 8004,
    "gossip_envoy_admin_port": 8006,
}


@schemathesis.hook
def filter_case(context, case):
    """No two ports may be equal, defaults included. A body that is wrong otherwise stays."""
    if not isinstance(case.body, dict):
        return True
    given = [case.body.get(name) if case.body.get(name) is not None else port for name, port in PORTS.items()]
    return len({str(port) for port in given}) == len(given)


@schemathesis.hook
def map_path_parameters(context, path_parameters):
    """Every other uid that could be a node's is the one that is."""
    uid = (path_parameters or {}).get("uid")
    if type(uid) is int and 0 <= uid < 2**32 and uid % 2 == 0:
        path_parameters["uid"] = 1
    return path_parameters


@schemathesis.check
def licence_is_what_is_refused(context, response, case):
    """A licence that the schema takes can be a wrong one, but not a wrong body."""
    if case.path != "/v1/license" or response.status_code != 400 or not case.meta.generation.mode.is_positive:
        return
    code = json.loads(response.content)["error_code"]
    assert code == "invalid_license", code
