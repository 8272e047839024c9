/**
 * What is changed in the source of upstream's end-to-end suite of 1.20 before it is compiled: what rests on something that
 * 1.36 does not have. Nothing is changed to suit skiff. `node test/conformance/edits.ts SOURCE DIR` writes the changed
 * files and `overlay.json`, for `go build -overlay`, into DIR.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'

interface Edit { readonly file: string; readonly from: string; readonly to: string; readonly reason: string }

const V1BETA1 = { from: 'Version: "v1beta1"}', to: 'Version: "v1"}', reason: 'v1beta1 is gone; what the suite uses of it is the same in v1' }

/** Where test/e2e/auth/service_accounts.go sees that an account has no token Secret. */
const NO_SECRETS = (account: string): string => `\t\t\tif len(sa.Secrets) == 0 {\n\t\t\t\tframework.Logf("${account} service account has no secret references")`

const EDITS: readonly Edit[] = [
  ...['batch', 'discovery', 'flowcontrol', 'policy'].map((group) => ({ file: `vendor/k8s.io/api/${group}/v1beta1/register.go`, ...V1BETA1 })),
  ...['apps/types.go', 'apimachinery/garbage_collector.go'].map((file) => ({ file: `test/e2e/${file}`, from: 'Version: "v1beta1", Resource: "cronjobs"}', to: 'Version: "v1", Resource: "cronjobs"}', reason: V1BETA1.reason })),
  { file: 'vendor/k8s.io/api/flowcontrol/v1beta1/types.go', from: 'json:"assuredConcurrencyShares"', to: 'json:"nominalConcurrencyShares"', reason: 'its name in v1' },
  {
    file: 'test/e2e/framework/util.go', from: 'return len(t.Secrets) > 0, nil', to: 'return t != nil, nil',
    reason: 'no token Secret is made for a ServiceAccount since 1.24: the framework waits until the account is there, as it does from 1.24 on',
  },
  {
    file: 'test/e2e/auth/service_accounts.go', from: NO_SECRETS('mount-test'),
    to: `\t\t\tif root, err := f.ClientSet.CoreV1().ConfigMaps(f.Namespace.Name).Get(context.TODO(), "kube-root-ca.crt", metav1.GetOptions{}); err == nil {
				rootCAContent = root.Data["ca.crt"]
				return true, nil
			}
${NO_SECRETS('mount-test')}`,
    reason: 'no token Secret is made for a ServiceAccount since 1.24: the authorities are compared with those of kube-root-ca.crt since',
  },
  {
    file: 'test/e2e/auth/service_accounts.go', from: NO_SECRETS('mount'), to: `\t\t\tif sa.UID != "" {\n\t\t\t\treturn true, nil\n\t\t\t}\n${NO_SECRETS('mount')}`,
    reason: 'as before: nothing is waited for but the account',
  },
  {
    file: 'test/e2e/apimachinery/flowcontrol.go', from: '\t\tginkgo.By("checking response headers contain flow-schema/priority-level uid")\n',
    to: `		for tries := 0; tries < 50; tries++ {
			schema, err := f.ClientSet.FlowcontrolV1beta1().FlowSchemas().Get(context.TODO(), testingFlowSchemaName, metav1.GetOptions{})
			framework.ExpectNoError(err)
			if len(schema.Status.Conditions) > 0 {
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
`,
    reason: 'since 1.21 the suite waits until its schema\'s status tells that it is in use',
  },
  {
    file: 'test/e2e/common/pods.go', from: 'podStatusUpdate, err := f.ClientSet.CoreV1().Pods(testNamespaceName).UpdateStatus(context.TODO(), &podStatusUpdated, metav1.UpdateOptions{})',
    to: `var podStatusUpdate *v1.Pod
		for tries := 0; tries < 5; tries++ {
			podStatusUpdate, err = f.ClientSet.CoreV1().Pods(testNamespaceName).UpdateStatus(context.TODO(), &podStatusUpdated, metav1.UpdateOptions{})
			if err == nil {
				break
			}
			podStatusUpdated.ResourceVersion = ""
		}`,
    reason: 'the kubelet tells observedGeneration as soon as the image has been changed; the suite tries again after a conflict since 1.28',
  },
  {
    file: 'test/e2e/network/networking.go', from: 'resp, err := http.Get("http://google.com")', to: 'resp, err := &http.Response{StatusCode: http.StatusOK}, error(nil)',
    reason: 'since 1.21 only the test that is about the internet asks for it',
  },
  {
    file: 'test/e2e/node/pods.go', from: 'case t.ExitCode == 1:', to: 'case t.ExitCode == 1, t.ExitCode == 137 && t.Reason == "ContainerStatusUnknown":',
    reason: 'since 1.22 a container that never ran is told so when its pod has ended, and the suite expects it',
  },
]

const [source = '', dir = ''] = process.argv.slice(2).map((path) => resolve(path))
mkdirSync(dir, { recursive: true })
const texts = new Map<string, string>()
for (const { file, from, to } of EDITS) {
  const text = texts.get(file) ?? readFileSync(join(source, file), 'utf8')
  if (!text.includes(from)) throw new Error(`${file} does not have: ${from}`)
  texts.set(file, text.replaceAll(from, to))
}
const replaced = [...texts].map(([file, text], i): [string, string] => {
  const changed = join(dir, `${i}-${basename(file)}`)
  writeFileSync(changed, text)
  return [join(source, file), changed]
})
writeFileSync(join(dir, 'overlay.json'), JSON.stringify({ Replace: Object.fromEntries(replaced) }))
