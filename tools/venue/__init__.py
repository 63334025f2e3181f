"""The venue: a local exchange on loopback that speaks Alpaca's and Polygon's wires, and can be cruel."""
