"""From text to a checked spec.

    bytes ──read──▶ tree ──expand──▶ long form ──override──▶ tree ──check──▶ Spec ──build──▶ model, data, plan

Every step may find several problems; each keeps its place, and they are reported together.
"""
