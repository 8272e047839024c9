import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ApiError } from '#api/client/client.ts'
import { FakeClock } from '#base/clock-fake.ts'
import { CodedError } from '#base/errors.ts'
import { createLog } from '#base/log.ts'
import { seededRandom } from '#base/random.ts'
import { unlessRefused, untilAnswered } from './until-answered.ts'

function world(failures: Error[]) {
  const clock = new FakeClock()
  const told: string[] = []
  const stop = new AbortController()
  const asked = { times: 0 }
  const deps = { clock, random: seededRandom(1), signal: stop.signal, log: createLog({ format: 'text', level: 'info', nowMs: () => 0, write: (line) => told.push(line) }) }
  const answer = untilAnswered(async () => {
    const failure = failures[asked.times++]
    if (failure) throw failure
    return Promise.resolve('done')
  }, deps)
  return { answer, clock, told, stop, asked }
}

const noLeader = new CodedError('STORE_UNAVAILABLE', 'no leader answers')

test('a step is done again while there is no leader, however that is said, and it is told once', async () => {
  const { answer, clock, told, asked } = world([
    noLeader, new CodedError('STORE_UNKNOWN', 'leadership was lost'), new ApiError({ code: 503, reason: 'ServiceUnavailable' }), new ApiError({ code: 504, reason: 'Timeout' }),
    new ApiError({ code: 429, reason: 'TooManyRequests' }), new ApiError({ code: 409, reason: 'Conflict' }),
  ])
  for (let i = 0; i < 20; i++) await clock.advance(3_000)
  assert.deepEqual([await answer, asked.times, told.length], ['done', 7, 1])
  assert.match(told[0] ?? '', /WARN .*asked until it does.*no leader answers/)
})

test('what does not pass by itself ends the start', async () => {
  for (const failure of [new CodedError('DISK_FULL', 'full'), new ApiError({ code: 403, reason: 'Forbidden' }), new ApiError({ code: 409, reason: 'AlreadyExists' }), new Error('a bug')]) {
    await assert.rejects(world([failure]).answer, failure)
  }
})

test('a server that is stopped meanwhile is told what it waited for', async () => {
  const { answer, stop, asked, clock } = world(Array.from({ length: 100 }, () => noLeader))
  const ended = assert.rejects(answer, noLeader)
  await clock.advance(50)
  stop.abort()
  await ended
  assert.ok(asked.times <= 2)
})

test('what the API refuses at the start is tried again while the server starts; a bug ends the start all the same', async () => {
  const clock = new FakeClock()
  const told: string[] = []
  const stop = new AbortController()
  const deps = { clock, random: seededRandom(1), signal: stop.signal, log: createLog({ format: 'text', level: 'info', nowMs: () => 0, write: (line) => told.push(line) }) }
  const refusal = new ApiError({ code: 500, reason: 'InternalError', message: 'failed calling webhook "a.b.c"' })
  const failures: Error[] = [refusal, refusal, noLeader, refusal]
  let done = 0
  await unlessRefused('roles', async () => {
    const failure = failures.shift()
    if (failure) throw failure
    done++
    return Promise.resolve()
  }, deps)
  assert.deepEqual([done, told.length], [0, 1])
  assert.match(told[0] ?? '', /ERROR .*is refused: it starts without that.*roles.*failed calling webhook/)
  for (let i = 0; i < 20; i++) await clock.advance(5_000)
  assert.deepEqual([done, failures.length], [1, 0])
  assert.match(told.at(-1) ?? '', /INFO .*admitted now/)
  await assert.rejects(unlessRefused('roles', () => Promise.reject(new Error('a bug')), deps), /a bug/)
})
