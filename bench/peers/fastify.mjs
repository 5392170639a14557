// Fastify, jsonwebtoken, BullMQ `add`.
import { createHash, timingSafeEqual } from 'node:crypto'
import Fastify from 'fastify'
import jwt from 'jsonwebtoken'
import { Queue } from 'bullmq'

const path = process.env.BENCH_REDIS_URL.replace('unix://', '').split('?')[0]
const queue = new Queue('bench', { connection: { path, maxRetriesPerRequest: null } })
const app = Fastify()

app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
app.post('/*', async (request, reply) => {
  try {
    const token = request.headers.authorization.replace('Bearer ', '')
    const claims = jwt.verify(token, process.env.BENCH_SECRET, { algorithms: ['HS256'] })
    const hash = createHash('sha256').update(request.body).digest('hex')
    if (!timingSafeEqual(Buffer.from(claims.payload_hash), Buffer.from(hash))) return reply.code(401).send()
  } catch {
    return reply.code(401).send()
  }
  const body = request.body.toString()
  await queue.add('job', { body }, { jobId: JSON.parse(body).message_uuid })
  return reply.code(200).send()
})
await app.listen({ host: '127.0.0.1', port: Number(process.argv[2]) })
