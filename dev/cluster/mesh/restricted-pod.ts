/** What a pod of the test runs. */
export interface RestrictedPod {
  readonly name: string;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Its service account; that of the namespace when left out. It sees no token of it unless a volume brings one. */
  readonly account?: string;
  readonly volumes?: readonly object[];
  /** The container, but for what keeps it from doing harm. */
  readonly container: { readonly name: string; readonly image: string } & Readonly<Record<string, unknown>>;
}

/** A pod that runs once, as Pod Security “restricted” lets it in. */
export function restrictedPod({ name, namespace, labels, account, volumes, container }: RestrictedPod): object {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace, labels },
    spec: {
      restartPolicy: "Never",
      ...(account !== undefined && { serviceAccountName: account }),
      ...(volumes !== undefined && { volumes }),
      automountServiceAccountToken: false,
      securityContext: {
        runAsNonRoot: true,
        runAsUser: 1000,
        fsGroup: 1000,
        seccompProfile: { type: "RuntimeDefault" },
      },
      containers: [
        {
          imagePullPolicy: "IfNotPresent",
          ...container,
          securityContext: {
            allowPrivilegeEscalation: false,
            readOnlyRootFilesystem: true,
            capabilities: { drop: ["ALL"] },
          },
        },
      ],
    },
  };
}
