"""Call Nexmo's management APIs: applications, the account's SMS settings, numbers.

Sources: Application API v2 2.4.1 and Account API 1.0.4 (OpenAPI documents of Vonage), Numbers API.
"""

from ackfirst.ops.nexmo_api.api import Balance, NexmoApi, SmsSettings, api_of
from ackfirst.ops.nexmo_api.client import ApiClient, Credentials, NexmoApiError

__all__ = ["ApiClient", "Balance", "Credentials", "NexmoApi", "NexmoApiError", "SmsSettings", "api_of"]
