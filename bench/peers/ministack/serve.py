"""MiniStack as `pip` installs it, but for one resource type of our template that its CloudFormation does
not know: AWS::ApiGatewayV2::RouteResponse, as the end-to-end tests add it. Their folder is the argument.

It and its functions end with its standard input.
"""

import sys
import threading

sys.path.insert(0, sys.argv.pop(1))
sys.dont_write_bytecode = True

import start  # noqa: E402
from ministack import app  # noqa: E402
from ministack.services.cloudformation import provisioners  # noqa: E402

threading.Thread(target=start.hold_leash, daemon=True).start()
provisioners._RESOURCE_HANDLERS["AWS::ApiGatewayV2::RouteResponse"] = {
    "create": start.create_route_response,
    "update": start.update_route_response,
    "delete": start.delete_route_response,
}
app._port_is_bindable = lambda *_: False
app.main()
