import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compileSelector, deviceValue, type CelDevice } from './index.ts'

const GPU: CelDevice = {
  driver: 'gpu.example.com',
  attributes: { model: { string: 'a100' }, 'other.example.com/numa': { int: 1 }, fast: { bool: true }, firmware: { version: '1.10.0' } }, capacity: { memory: { value: '40Gi' } },
}

function ask(expression: string, device = GPU): unknown {
  const made = compileSelector(expression)
  if (!made.ok) return made.error
  const outcome = made.program.evaluate({ device: deviceValue(device) })
  return outcome.ok ? outcome.value : outcome.error
}

test('a device is asked for its driver, attributes and capacity by domain; its own names are in its driver\'s', () => {
  for (const expression of [
    'device.driver == "gpu.example.com"', 'device.attributes["gpu.example.com"].model == "a100"', 'device.attributes["other.example.com"].numa == 1', 'device.attributes["gpu.example.com"].fast',
    'device.attributes["gpu.example.com"].firmware.isGreaterThan(semver("1.9.0"))', 'device.capacity["gpu.example.com"].memory.compareTo(quantity("20Gi")) > 0', '!device.allowMultipleAllocations',
    'cel.bind(own, device.attributes["gpu.example.com"], own.model == "a100" && own.fast)', '"model" in device.attributes["gpu.example.com"]', '!has(device.attributes["gpu.example.com"].colour)',
  ]) assert.equal(ask(expression), true, expression)
})

test('of a domain that it does not know there is nothing, which is no error; of a name there is', () => {
  assert.equal(ask('!("a" in device.attributes["nowhere.example.com"]) && !("nowhere.example.com" in device.attributes) && "gpu.example.com" in device.attributes'), true)
  assert.equal(ask('device.attributes["nowhere.example.com"].a == 1'), 'no such key: a')
  assert.throws(() => deviceValue({ driver: 'd', attributes: { a: {} } }), { message: 'attribute a: unsupported attribute value' })
})
