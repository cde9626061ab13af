"""HTTP to the host of a registry: connections, requests, answers, deadlines, proxies, certificates."""
