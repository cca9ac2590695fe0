"""The keys of a spec: one strict model per component, and the sections that hold them."""
