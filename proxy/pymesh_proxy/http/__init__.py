"""HTTP on both sides: connections (`h1`), one request and its answer (`exchange`), and the header rules between them."""
