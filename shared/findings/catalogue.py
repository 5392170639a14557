"""List every finding: its id, what it means, and what helps. ``make docs`` writes them into ``docs/operating.md``."""

from collections.abc import Mapping
from typing import Final, NamedTuple


class Entry(NamedTuple):
    """The text about a finding in the operator's guide, in Markdown."""

    meaning: str
    remedy: str


#: Ids are stable: scripts, alerts and bookmarks use them. Sorted.
CATALOGUE: Final[Mapping[str, Entry]] = {
    "account-unconfirmed": Entry(
        "Ingest confirms no callback of an account; see [AckfirstAccountUnconfirmed](#ackfirstaccountunconfirmed).",
        "Compare the signature secret with Nexmo's dashboard, then `ackfirst quarantine recheck`.",
    ),
    "accounts-none": Entry(
        "No account is configured, so no callback can be verified.",
        "Set `ACKFIRST_API_KEY` and `ACKFIRST_SIGNATURE_SECRET`, or write `ackfirst.toml`.",
    ),
    "accounts-unknown": Entry(
        "Callbacks name accounts that are not configured here; see "
        "[AckfirstUnknownAccounts](#ackfirstunknownaccounts).",
        "`ackfirst quarantine list`; add yours to `ackfirst.toml`, then `ackfirst quarantine recheck`.",
    ),
    "application-silent": Entry(
        "An application points at us, and nothing has come from it for a week.",
        "Send a message through it; if it is not needed any more, `ackfirst apps quiet APP`.",
    ),
    "backup-open": Entry(
        "Others on this machine may read copies of what was set at Nexmo.",
        "`chmod -R go= .ackfirst/webhook-backups`",
    ),
    "balance-low": Entry(
        "The account has less than 1 EUR left and does not reload itself.",
        "Top up in Nexmo's dashboard.",
    ),
    "callbacks-refused": Entry(
        "Callbacks that may be genuine were refused for good; see [AckfirstRefusedForGood](#ackfirstrefusedforgood).",
        "Correct the URL at Nexmo, or set `ACKFIRST_BASE_PATH`.",
    ),
    "callbacks-shed": Entry(
        "Callbacks that cannot be verified are answered 429; see [AckfirstShed](#ackfirstshed).",
        "`ackfirst quarantine list`",
    ),
    "callbacks-unavailable": Entry(
        "Callbacks are answered 503; see [AckfirstUnavailable](#ackfirstunavailable).",
        "`ackfirst spool`, and `df` in the data folder.",
    ),
    "clock-nexmo": Entry(
        "This machine's clock differs from Nexmo's by more than 5 s; see [AckfirstClockBehind](#ackfirstclockbehind).",
        "`timedatectl status`: let it follow NTP.",
    ),
    "clock-redis": Entry(
        "This machine's clock differs from Redis's by more than 1 s.",
        "Let both machines follow NTP.",
    ),
    "config-open": Entry(
        "Others on this machine may read or change `ackfirst.toml`, which holds secrets.",
        "`chmod 600 ackfirst.toml`",
    ),
    "data-dir-open": Entry(
        "Others on this machine may enter the data folder, which holds messages of people.",
        "`chmod 700` on it.",
    ),
    "dead-letters": Entry(
        "Handlers failed too often on these events; see [AckfirstDeadLetters](#ackfirstdeadletters).",
        "`ackfirst dead list`, or the page, names their errors; fix the handler, then `ackfirst dead replay`.",
    ),
    "disk-fsync-slow": Entry(
        "A synced write takes more than 50 ms: while Redis is away, answers are that late.",
        "Put the data folder on a local SSD.",
    ),
    "disk-not-writable": Entry(
        "The data folder cannot be written: while Redis is away, callbacks are answered 503.",
        "Check `ACKFIRST_DATA_DIR`, its owner and the disk.",
    ),
    "disk-space": Entry(
        "Less than 1 GiB is left for the spool.",
        "Make room, or move `ACKFIRST_DATA_DIR`.",
    ),
    "disk-volatile": Entry(
        "The data folder is on a file system in memory: a reboot empties the spool.",
        "Move `ACKFIRST_DATA_DIR` to a disk.",
    ),
    "edge-exposes-admin": Entry(
        "The public URL also leads to ingest's admin port, which is for operators.",
        "Let the edge pass `/webhooks/` only.",
    ),
    "edge-unreachable": Entry(
        "The public URL cannot be reached from here.",
        "Check DNS, the firewall and the edge.",
    ),
    "edge-wrong": Entry(
        "The public URL does not answer an empty request with 200: Nexmo refuses to save it.",
        "Let the edge pass every path under `/webhooks/` to ingest.",
    ),
    "handlers-failing": Entry(
        "More than half of the attempts fail; see [AckfirstHandlersFailing](#ackfirsthandlersfailing).",
        "Fix the handler that `event.processed` in the worker's log names.",
    ),
    "handlers-import": Entry(
        "A module of handlers cannot be imported, so its worker does not start.",
        "Check `ACKFIRST_HANDLERS` and `PYTHONPATH` where the worker runs.",
    ),
    "handlers-none": Entry(
        "No handlers are configured.",
        "Set `ACKFIRST_HANDLERS`.",
    ),
    "ingest-down": Entry(
        "No ingest answers its admin port; see [AckfirstIngestDown](#ackfirstingestdown).",
        "Start it, or run doctor where that port can be reached.",
    ),
    "ingest-not-ready": Entry(
        "Ingest can make callbacks durable neither in Redis nor on disk.",
        "Bring Redis back, or make room on the disk.",
    ),
    "lane-paused": Entry(
        "Events wait in a lane that an operator has paused.",
        "`ackfirst lanes resume LANE`",
    ),
    "lane-unserved": Entry(
        "Events wait in a lane that no worker serves.",
        "Start a worker without `--lane`, or with that lane.",
    ),
    "lane-waits": Entry(
        "The oldest event of a lane waits longer than a minute, an error from five minutes on; see "
        "[AckfirstLaneWaits](#ackfirstlanewaits).",
        "Start more workers, and look for slow handlers.",
    ),
    "nexmo-api": Entry(
        "Nexmo's management API could not be read for an account.",
        "The message says why; `ackfirst webhooks show` tries again.",
    ),
    "number-overrides": Entry(
        "A number sends inbound SMS to a URL of its own instead of the account's.",
        "Change the number's webhook in Nexmo's dashboard.",
    ),
    "port-closed": Entry(
        "Ingest runs and does not answer at an address of `ACKFIRST_LISTEN`.",
        "Check `ACKFIRST_LISTEN`, and restart ingest.",
    ),
    "port-taken": Entry(
        "Another program answers at an address of `ACKFIRST_LISTEN`, so ingest cannot start.",
        "End it, or change `ACKFIRST_LISTEN`.",
    ),
    "provider-lag": Entry(
        "Nexmo is behind with us; see [AckfirstProviderLag](#ackfirstproviderlag).",
        "Look for answers other than 200 in the last hours, then at Nexmo's status page.",
    ),
    "public-url-none": Entry(
        "The public URL is not known, so URLs at Nexmo cannot be compared with it.",
        "Set `ACKFIRST_PUBLIC_URL`.",
    ),
    "quarantine": Entry(
        "Callbacks that could not be verified are kept.",
        "`ackfirst quarantine list`",
    ),
    "quarantine-full": Entry(
        "The quarantine is more than 80 % full; above it, callbacks are answered 429; see "
        "[AckfirstQuarantineNearlyFull](#ackfirstquarantinenearlyfull).",
        "`ackfirst quarantine list`, then `recheck` or `drop`.",
    ),
    "quarantine-healed": Entry(
        "Quarantined callbacks verify with today's configuration.",
        "`ackfirst quarantine recheck`",
    ),
    "record-behind": Entry(
        "Events wait to be written into the record. Handlers are not delayed.",
        "Is a worker running (it writes the record), and does the store of `ACKFIRST_STORE_URL` answer?",
    ),
    "record-disk": Entry(
        "The disk of the record has less than 1 GiB left.",
        "Make room, shorten `ACKFIRST_STORE_KEEP`, or move the record.",
    ),
    "record-gap": Entry(
        "Some events were processed and are missing in the record.",
        "Make the store quicker, or give Redis more memory; `ackfirst reconcile` names what is missing.",
    ),
    "record-schema": Entry(
        "The record's tables are missing, older or newer than this release.",
        "The finding says which; `ackfirst worker` makes and migrates them.",
    ),
    "record-unreachable": Entry(
        "The record's store does not answer. Events are processed, and kept in Redis until it does.",
        "Start it, or check `ACKFIRST_STORE_URL`.",
    ),
    "redis-aof": Entry(
        "Redis keeps no append-only file: a restart loses acknowledged callbacks.",
        "`appendonly yes`",
    ),
    "redis-data-lost": Entry(
        "Redis has lost data; see [AckfirstRedisDataLost](#ackfirstredisdatalost).",
        "Find the cause: the volume, the append-only file, a failover, `FLUSHALL`.",
    ),
    "redis-down": Entry(
        "Redis cannot be reached; see [AckfirstRedisDown](#ackfirstredisdown).",
        "Start it, or check `ACKFIRST_REDIS_URL`.",
    ),
    "redis-eviction": Entry(
        "A full Redis throws queued events away.",
        "`maxmemory-policy noeviction`",
    ),
    "redis-fsync": Entry(
        "A power failure loses the last acknowledged callbacks.",
        "`appendfsync always`",
    ),
    "redis-fsync-slow": Entry(
        "One durable write takes more than 50 ms.",
        "Give Redis a local SSD.",
    ),
    "redis-memory": Entry(
        "Redis has used most of its memory: new events go to the spool.",
        "Raise `maxmemory`, or start more workers.",
    ),
    "redis-persistence": Entry(
        "Redis could not write to its disk.",
        "Make room on it, and look at the log of Redis.",
    ),
    "redis-refuses-writes": Entry(
        "Redis takes no writes: it is full, a replica, or cannot write its disk.",
        "Make room, or check `ACKFIRST_REDIS_URL`.",
    ),
    "redis-replicas": Entry(
        "Fewer replicas of Redis keep up than `ACKFIRST_REDIS_REPLICAS` wants (an error), or one lags behind.",
        "Start the missing ones; look at the network and at their logs.",
    ),
    "redis-setting": Entry(
        "Another setting of Redis is not as it should be.",
        "[Redis in docs/deployment.md](deployment.md)",
    ),
    "redis-slow": Entry(
        "A round trip to Redis takes more than 20 ms; every callback waits for one.",
        "Move ingest nearer to Redis; `redis-cli slowlog get`.",
    ),
    "redis-unreadable": Entry(
        "`INFO` or `CONFIG` is forbidden: it is not known whether events survive a crash.",
        "Allow them to our user, or ask the provider of the Redis.",
    ),
    "redis-version": Entry(
        "The server is too old for workers.",
        "Install a newer Redis or Valkey.",
    ),
    "rejects": Entry(
        "Entries of lanes are no jobs that a worker could run; see [AckfirstRejects](#ackfirstrejects).",
        "`ackfirst rejects list`",
    ),
    "secret-file-open": Entry(
        "Everybody on this machine may read or change a file that an `ACKFIRST_…_FILE` variable names.",
        "`chmod 600` on it.",
    ),
    "secret-short": Entry(
        "A signature secret can be guessed.",
        "Make a longer one at Nexmo; list both, then remove the old one.",
    ),
    "secret-unconfirmed": Entry(
        "No secret of an account confirms its newest quarantined callbacks.",
        "Compare its signature secret with Nexmo's dashboard, then `ackfirst quarantine recheck`.",
    ),
    "self-test": Entry(
        "A signed callback through the public URL was not answered 200, or its event was not processed.",
        "The finding says which; look for `callback.received` in the log of ingest.",
    ),
    "sms-signature-method": Entry(
        "The SMS API signs an account's callbacks with another method than configured, so they are quarantined.",
        "Set `sms_signature_method`, restart ingest, then `ackfirst quarantine recheck`.",
    ),
    "sms-unsigned": Entry(
        "SMS callbacks of an account carry no signature, so they are quarantined.",
        "Have signed webhooks of the SMS API switched on at Nexmo, or set `allow_unsigned`.",
    ),
    "spool-filling": Entry(
        "The spool is more than half full; see [AckfirstSpoolFilling](#ackfirstspoolfilling).",
        "Make Redis take writes.",
    ),
    "spool-in-use": Entry(
        "Redis does not take events, so they wait on disk; see [AckfirstSpoolInUse](#ackfirstspoolinuse).",
        "`ackfirst spool`; the finding gives the reason.",
    ),
    "spool-over-age": Entry(
        "An event waits on disk for longer than `ACKFIRST_SPOOL_MAX_AGE`; see "
        "[AckfirstSpoolOverAge](#ackfirstspooloverage).",
        "`ackfirst spool`, then as for `spool-in-use`.",
    ),
    "spool-set-aside": Entry(
        "Records on disk cannot be queued; see [AckfirstSpoolSetAside](#ackfirstspoolsetaside).",
        "`ackfirst spool` has the reasons.",
    ),
    "spool-unusable": Entry(
        "Ingest cannot write to its disk; see [AckfirstSpoolUnusable](#ackfirstspoolunusable).",
        "`df`, and the owner of the data folder.",
    ),
    "tls-chain": Entry(
        "The chain of the public URL's certificate leads to no known authority: Nexmo delivers nothing.",
        "Let the edge send the intermediate certificates, too (`fullchain.pem`).",
    ),
    "tls-expires": Entry(
        "The public URL's certificate ends within two weeks.",
        "Renew it, then reload the edge.",
    ),
    "tls-invalid": Entry(
        "The public URL's certificate is refused: Nexmo delivers nothing.",
        "Renew it, and let the edge send the whole chain.",
    ),
    "tls-none": Entry(
        "The public URL is not https.",
        "Put a certificate on the edge ([docs/deployment.md](deployment.md)).",
    ),
    "version-mixed": Entry(
        "Processes of different releases are running.",
        "Finish the update: restart what is still of the older release.",
    ),
    "webhook-differs": Entry(
        "A webhook URL at Nexmo is not this installation's.",
        "`ackfirst webhooks set --all --dry-run`, then without `--dry-run`.",
    ),
    "webhook-method": Entry(
        "A messages webhook at Nexmo has another method than POST.",
        "Set it to POST in Nexmo's dashboard.",
    ),
    "webhooks-borrowed": Entry(
        "Applications point at a tunnel of `ackfirst dev`; when it ends, their callbacks queue at Nexmo.",
        "`ackfirst dev` puts them back at its end and at its next start; by hand: `ackfirst webhooks restore`.",
    ),
    "workers-none": Entry(
        "No worker is running; see [AckfirstNoWorkers](#ackfirstnoworkers).",
        "`ackfirst worker`",
    ),
}
