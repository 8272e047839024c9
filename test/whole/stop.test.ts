/** Told to stop in the middle of its start, a server with its agent ends in order, whatever it was doing just then. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { OneHost } from './one-host.ts'

const SERVER = /skiff\S* server /
/** What a start says, in the order in which it usually does, and how often to try at that moment: the last are a race of two ends of one connection. */
const MOMENTS = [['ready', 1], ['controllers started', 2], ['node starting', 3], ['connected', 8], ['node connected', 4], ['pod network is up', 3]] as const

describe('a server told to stop while it starts', { timeout: 600_000 }, () => {
  let lab: OneHost
  before(async () => { lab = await OneHost.create() })
  after(async () => { await lab.lab.destroy() })

  for (const [moment, times] of MOMENTS) {
    it(`ends with 0: at "${moment}"`, async () => {
      for (let n = 1; n <= times; n++) {
        const log = `server-${moment.replaceAll(' ', '-')}-${n}`
        const child = lab.start(log, ['server', ...lab.nodeFlags(), '--write-kubeconfig', lab.path('data.yaml')])
        // Not `until`: its rests are longer than the moments.
        for (const deadline = Date.now() + 20_000; !lab.host.log(log).includes(` ${moment} `); await turn()) assert.ok(Date.now() < deadline && child.exitCode === null, `it never said "${moment}":\n${lab.host.log(log)}`)
        assert.equal(await lab.stop(child, SERVER), 0, lab.host.log(log))
        assert.match(lab.host.log(log), /INFO {2}stopped\n/)
      }
    })
  }
})
