"""asyncio as host, trio as guest, and the pump that moves the bytes of established connections."""
