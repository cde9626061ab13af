# Makes of Prefect's own template for Kubernetes jobs one whose jobs have two Secrets, which it has no variables for:
# the registry's login as a file, for DOCKER_CONFIG, and keys of a bucket, where there are any, in the environment.
# And one whose runs have the 30 s to end in that Prefect gives them, and more: Kubernetes' own time is those 30 s.
.job_configuration.job_manifest.spec.template.spec |= (
  .volumes = [{
    name: "credentials",
    secret: {secretName: "registry-login", items: [{key: ".dockerconfigjson", path: "config.json"}]}
  }]
  | .containers[0].volumeMounts = [{name: "credentials", mountPath: "/credentials", readOnly: true}]
  | .terminationGracePeriodSeconds = 45
  | .containers[0].envFrom = [{secretRef: {name: "bucket-keys", optional: true}}]
)
