"""Other people's task queues and the usual ways to take a webhook, each as its own documentation shows it."""
