// BullMQ on Node: `fill` reads bodies from stdin, `work` runs a hundred jobs at once.
import { createInterface } from 'node:readline'
import { Redis } from 'ioredis'
import { Queue, Worker } from 'bullmq'

const path = process.env.BENCH_REDIS_URL.replace('unix://', '').split('?')[0]
const connection = { path, maxRetriesPerRequest: null }

if (process.argv[2] === 'fill') {
  const queue = new Queue('bench', { connection })
  let bulk = []
  for await (const body of createInterface({ input: process.stdin })) {
    bulk.push({ name: 'job', data: { body } })
    if (bulk.length === 500) { await queue.addBulk(bulk); bulk = [] }
  }
  if (bulk.length) await queue.addBulk(bulk)
  await queue.close()
} else {
  const client = new Redis(connection)
  new Worker('bench', async () => { await client.incr('bench:done') }, { connection, concurrency: 100 })
}
