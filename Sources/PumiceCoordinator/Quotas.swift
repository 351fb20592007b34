import HashTreeCollections
import PumiceModel

/// The use cases of quotas. Each is one transaction.
extension Tables {
  /// Sets the limits that are given and leaves the rest. A limit below what is in use stops only what comes.
  mutating func setQuota(_ limits: [String: Int], of project: ProjectID) {
    var quota = quotas[project] ?? QuotaSet(project: project)
    quota.limits.merge(limits) { _, new in new }
    put(quota)
  }

  /// Back to the defaults.
  mutating func resetQuota(of project: ProjectID) {
    guard quotas[project] != nil else { return }
    put(QuotaSet(project: project))
  }

  /// The limits of a class. Those of `default` hold for every project that has none of its own.
  func quotaClass(_ name: String) -> QuotaSet {
    quotaClasses[name] ?? QuotaSet(project: name)
  }

  /// Sets the limits that are given and leaves the rest.
  mutating func setQuotaClass(_ limits: [String: Int], of name: String) {
    var quota = quotaClass(name)
    quota.limits.merge(limits) { _, new in new }
    putClass(quota)
  }

  /// What a quota may limit, each with what the project has of it.
  func quotaResources(of usage: QuotaUsage) -> [(name: String, inUse: Int)] {
    var resources: [(name: String, inUse: Int)] = QuotaSet.defaults.keys.sorted().map { name in
      switch name {
      case "volumes": (name, usage.volumes)
      case "snapshots": (name, usage.snapshots)
      case "gigabytes": (name, usage.gigabytes)
      case "groups": (name, usage.groups)
      default: (name, 0)
      }
    }
    for type in types.values.sorted(by: { $0.name < $1.name }) {
      resources.append(("volumes_\(type.name)", usage.volumesByType[type.id] ?? 0))
      resources.append(("gigabytes_\(type.name)", usage.gigabytesByType[type.id] ?? 0))
      resources.append(("snapshots_\(type.name)", usage.snapshotsByType[type.id] ?? 0))
    }
    return resources
  }
}
