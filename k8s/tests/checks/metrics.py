def check(): return []
