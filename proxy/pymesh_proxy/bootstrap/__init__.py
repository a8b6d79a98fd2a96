"""An Envoy-shaped bootstrap: text into a protobuf with every mistake told by line, then into what the process starts with."""
