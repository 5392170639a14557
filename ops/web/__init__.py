"""``ackfirst web``: the operator's page.

``access`` decides who is answered, ``app`` joins the pages and rq-dashboard, ``sources`` has what they read. Each page
is a module of the same name with its data and its views; what it draws is in ``templates/``. Nothing here queries on
its own what a command knows: the functions of the commands are used.
"""
