/**
 * `scripts/lab.sh`'s program: a lab to play with. State is kept in /run/skiff-lab.json, or in
 * the file that SKIFF_LAB_STATE names, so that several labs can be up.
 *   up N            N hosts: a server with its agent on h1, agents on the others
 *   exec HOST CMD   runs a command on a host        kubectl ARGS    runs kubectl on h1
 *   kill HOST       SIGKILL to skiff on a host      start HOST      starts it again
 *   cut HOST        pulls the cable of a host       heal HOST       plugs it in again
 *   down            ends and removes everything
 */
import { rmSync, writeFileSync } from 'node:fs'
import { spawnSync } from 'node:child_process'
import { Cluster } from './cluster.ts'
import { Lab, readLabState } from './lab.ts'
import { kill } from './host.ts'

const STATE = process.env['SKIFF_LAB_STATE'] ?? '/run/skiff-lab.json'
const [verb, ...rest] = process.argv.slice(2)

function opened(): Lab {
  const state = readLabState(STATE)
  if (!state) throw new Error('no lab is up: scripts/lab.sh up 2')
  return Lab.open(state)
}

function host(name: string | undefined) {
  const found = opened().hosts.find((h) => h.name === name)
  if (!found) throw new Error(`no host ${name ?? ''}: there are ${opened().hosts.map((h) => h.name).join(', ')}`)
  return found
}

function on(name: string | undefined, command: readonly string[]): number {
  // Files are named from where the caller is: a namespace begins at the root, and lab.sh itself goes to the repository.
  const [file = '', ...args] = host(name).wrap(['env', '-C', process.env['SKIFF_LAB_FROM'] ?? process.cwd(), ...command])
  return spawnSync(file, args, { stdio: 'inherit', env: { ...process.env, KUBECONFIG: host('h1').kubeconfig } }).status ?? 1
}

switch (verb) {
  case 'up': {
    if (readLabState(STATE)) throw new Error('a lab is up already: scripts/lab.sh down')
    const count = Number(rest[0] ?? 2)
    if (!Number.isInteger(count) || count < 1 || count > 20) throw new Error('up takes a number of hosts, 1 to 20')
    const cluster = await Cluster.create({ hosts: count })
    writeFileSync(STATE, JSON.stringify(cluster.lab.state), { mode: 0o600 })
    console.log(`${count} hosts are up. Try: scripts/lab.sh kubectl get nodes -o wide`)
    process.exit(0)
    break
  }
  case 'exec':
    process.exitCode = on(rest[0], rest.slice(1))
    break
  case 'kubectl':
    process.exitCode = on('h1', ['kubectl', ...rest])
    break
  case 'kill':
    for (const p of host(rest[0]).processes().filter((p) => /skiff (server|agent) /.test(p.command))) kill(p.pid)
    break
  case 'start':
    Cluster.open(opened()).start(host(rest[0]))
    process.exit(0)
    break
  case 'cut':
    host(rest[0]).cutCable()
    break
  case 'heal':
    host(rest[0]).healCable()
    break
  case 'down': {
    await opened().destroy()
    rmSync(STATE)
    break
  }
  default:
    console.error('usage: scripts/lab.sh up N | exec HOST CMD... | kubectl ARGS... | kill HOST | start HOST | cut HOST | heal HOST | down')
    process.exitCode = 2
}
