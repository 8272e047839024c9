import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compileSelector, deviceValue, SELECTOR_COST_MAX, selectorCost, type CelDevice } from './index.ts'

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

/** Ten to the seventh times it looks for digits. */
const EXPENSIVE = `${['x', 'y', 'z', 'z2', 'z3', 'z4', 'z5'].map((x) => `[1, 2, 3, 4, 5, 6, 7, 8, 9, 10].all(${x}, `).join('')}int('1'.find('[0-9]*')) < 100${')'.repeat(7)}`
const OF = 'device.attributes["dra.example.com"]'
const MEMORY = 'device.capacity["dra.example.com"]'
/** Upstream's figures. */
const COSTS: [string, number][] = [
  ['true', 0], [`${OF}.a.isGreaterThan(quantity("0"))`, 6], [`${OF}["a"].isGreaterThan(quantity("0"))`, 6], ['"a" in device.attributes', 3], ['device.driver == ""', 2], ['device.driver == "dra.example.com"', 4],
  [`${OF}.name`, 4], [`${OF}["name"]`, 4], [`cel.bind(dra, ${OF}, dra.name)`, 15], [`${OF}.name > 0`, 5], [`${OF}.name == "fish"`, 5], [`${OF}.name.isGreaterThan(semver("0.0.1"))`, 6],
  [`${OF}.name.isGreaterThan(semver("v0.0.1", true)) && isSemver("v1.0.0", true)`, 7], [`${MEMORY}.name.isGreaterThan(quantity("1Ki"))`, 6],
  [`"name" in ${MEMORY} && ${MEMORY}.name.isGreaterThan(quantity("1Ki"))`, 10], [`!("name" in ${MEMORY}) || ${MEMORY}.name.isGreaterThan(quantity("1Ki"))`, 11],
  [[`${MEMORY}.quantity.isGreaterThan(quantity("1Ki"))`, `${OF}.bool`, `${OF}.int > 0`, `${OF}.string == "fish"`, `${OF}.version.isGreaterThan(semver("0.0.1"))`, `${MEMORY}["quantity"].isGreaterThan(quantity("1Ki"))`, `${OF}["bool"]`, `${OF}["int"] > 0`, `${OF}["string"] == "fish"`, `${OF}["version"].isGreaterThan(semver("0.0.1"))`].join(' && '), 52],
  [`${OF}.a && ${OF}.b && ${OF}.c`, 12], ['device.attributes.exists_one(x, x == "dra.example.com")', 164], [`${OF}.exists_one(x, x == "services")`, 133], [`${OF}.services.split("example").size() >= 2`, 19], [`${OF}.services.matches("[^a]?sym")`, 18],
  ['device.capacity.exists_one(x, x == "dra.example.com")', 164], [`${MEMORY}.exists_one(x, x == "memory")`, 133], ['device.allowMultipleAllocations == true', 3], [EXPENSIVE, 85_555_551],
]
for (const [expression, cost] of COSTS) {
  test(`at worst it costs ${cost}: ${expression.slice(0, 100)}`, () => {
    const made = compileSelector(expression)
    assert.equal(made.ok && selectorCost(made.program), cost)
  })
}

test('one that costs too much as it is evaluated is given up', () => {
  const made = compileSelector(EXPENSIVE)
  const outcome = made.ok && made.program.evaluate({ device: deviceValue(GPU) }, { costLimit: SELECTOR_COST_MAX })
  assert.deepEqual(outcome && !outcome.ok && [outcome.kind, outcome.error], ['cost', 'operation cancelled: actual cost limit exceeded'])
})
