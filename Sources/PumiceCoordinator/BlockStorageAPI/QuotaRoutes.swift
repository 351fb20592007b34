import HTTPTypes
import Hummingbird
import Logging
import PumiceModel

extension BlockStorageRoutes {
  func addQuotas(to routes: Routes) {
    routes.on(.get, "os-quota-sets/:project", needs: .readQuotas) { call in
      let project = try call.quotaProject()
      let tables = call.tables
      let quota = tables.quota(of: project)
      let resources = tables.quotaResources(of: tables.usage(of: project))
      var values: [String: QuotaValue] = ["id": .project(project)]
      let isWithUsage = try call.query.flag("usage")
      for (name, inUse) in resources {
        values[name] = isWithUsage ? .usage(limit: quota.limit(name), inUse: inUse) : .limit(quota.limit(name))
      }
      return try Response.json(["quota_set": values])
    }
    routes.on(.get, "os-quota-sets/:project/defaults", needs: .readQuotas) { call in
      try call.quotaDefaults(id: try call.quotaProject(), under: "quota_set")
    }
    routes.on(.put, "os-quota-sets/:project", needs: .writeQuotas) { call in
      let project = try call.quotaProject()
      let body = try await call.body()
      try body.refuseUnknown(except: ["quota_set"])
      let fields = try body.root("quota_set")
      let known = Set(call.tables.quotaResources(of: QuotaUsage()).map(\.name))
      try fields.refuseUnknown(except: known.union(["tenant_id", "project_id", "id", "force"]))
      var limits: [String: Int] = [:]
      for name in fields.values.keys where known.contains(name) {
        limits[name] = try fields.integer(name, in: -1...2_147_483_647)
      }
      guard !limits.isEmpty else { throw StorageError.invalid("quota_set", "must have at least one limit.") }
      let changes = limits
      try await call.api.store.write { $0.setQuota(changes, of: project) }
      call.context.logger.notice(
        "Quota changed", metadata: ["quota.project": "\(project)", "quota.limits": "\(changes)"])
      let tables = call.tables
      let quota = tables.quota(of: project)
      let names = tables.quotaResources(of: QuotaUsage()).map(\.name)
      return try Response.json(["quota_set": Dictionary(uniqueKeysWithValues: names.map { ($0, quota.limit($0)) })])
    }
    routes.on(.delete, "os-quota-sets/:project", needs: .writeQuotas) { call in
      let project = try call.quotaProject()
      try await call.api.store.write { $0.resetQuota(of: project) }
      return Response(status: .ok)
    }
    routes.on(.get, "os-quota-class-sets/:class", needs: .readQuotas) { call in
      try call.quotaDefaults(id: try call.parameter("class"), under: "quota_class_set")
    }
    routes.on(.get, "limits", needs: .readQuotas) { call in
      var project = call.caller.project
      if call.caller.role == .admin, call.version >= Microversion(3, 39), let other = call.query["project_id"] {
        try call.api.authenticator.requireProject(other)
        project = other
      }
      let tables = call.tables
      return try Response.json(["limits": Limits(tables.quota(of: project), tables.usage(of: project))])
    }
  }
}

private enum QuotaValue: Encodable {
  case project(ProjectID)
  case limit(Int)
  case usage(limit: Int, inUse: Int)

  func encode(to encoder: any Encoder) throws {
    switch self {
    case .project(let project):
      var container = encoder.singleValueContainer()
      try container.encode(project)
    case .limit(let limit):
      var container = encoder.singleValueContainer()
      try container.encode(limit)
    case .usage(let limit, let inUse):
      var container = encoder.singleValueContainer()
      try container.encode(["limit": limit, "in_use": inUse, "reserved": 0])
    }
  }
}

private struct Limits: Encodable {
  let rate: [String] = []
  let absolute: [String: Int]

  init(_ quota: QuotaSet, _ usage: QuotaUsage) {
    absolute = [
      "maxTotalVolumes": quota.limit("volumes"), "totalVolumesUsed": usage.volumes,
      "maxTotalVolumeGigabytes": quota.limit("gigabytes"), "totalGigabytesUsed": usage.gigabytes,
      "maxTotalSnapshots": quota.limit("snapshots"), "totalSnapshotsUsed": usage.snapshots,
      "maxTotalBackups": quota.limit("backups"), "totalBackupsUsed": 0,
      "maxTotalBackupGigabytes": quota.limit("backup_gigabytes"), "totalBackupGigabytesUsed": 0,
    ]
  }
}

extension Call {
  /// The project whose quota the path names: the caller's own, or for admins any.
  fileprivate func quotaProject() throws -> ProjectID {
    let project = try parameter("project")
    if project != caller.project {
      guard caller.scope == nil else {
        throw StorageError(.notFound, "Project '\(project.prefix(64))' could not be found.")
      }
      try api.authenticator.requireProject(project)
    }
    return project
  }

  fileprivate func quotaDefaults(id: String, under key: String) throws -> Response {
    var values: [String: QuotaValue] = ["id": .project(id)]
    for (name, _) in tables.quotaResources(of: QuotaUsage()) {
      values[name] = .limit(QuotaSet.defaults[name] ?? -1)
    }
    return try Response.json([key: values])
  }
}
