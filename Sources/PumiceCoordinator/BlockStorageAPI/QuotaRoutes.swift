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
      try call.show(call.tables.quotaClass(QuotaSet.defaultClass), id: try call.quotaProject(), under: "quota_set")
    }
    routes.on(.put, "os-quota-sets/:project", needs: .writeQuotas) { call in
      let project = try call.quotaProject()
      let changes = try await call.limits(under: "quota_set", besides: ["tenant_id", "project_id", "id", "force"])
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
      let name = try call.parameter("class")
      return try call.show(call.tables.quotaClass(name), id: name, under: "quota_class_set")
    }
    routes.on(.put, "os-quota-class-sets/:class", needs: .writeQuotas) { call in
      let name = try call.parameter("class")
      guard 1...255 ~= name.unicodeScalars.count, !name.unicodeScalars.contains(where: \.isControl) else {
        throw StorageError.invalid("class", "must be a name of 1 to 255 characters.")
      }
      let changes = try await call.limits(under: "quota_class_set", besides: ["class_name", "id"])
      try await call.api.store.write { $0.setQuotaClass(changes, of: name) }
      call.context.logger.notice(
        "Quota of a class changed", metadata: ["quota.class": "\(name)", "quota.limits": "\(changes)"])
      return try call.show(call.tables.quotaClass(name), id: nil, under: "quota_class_set")
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

  fileprivate func show(_ quota: QuotaSet, id: String?, under key: String) throws -> Response {
    var values: [String: QuotaValue] = [:]
    if let id { values["id"] = .project(id) }
    for (name, _) in tables.quotaResources(of: QuotaUsage()) { values[name] = .limit(quota.limit(name)) }
    return try Response.json([key: values])
  }

  /// The limits that a body has, which must be one at least.
  fileprivate func limits(under key: String, besides others: Set<String>) async throws -> [String: Int] {
    let body = try await body()
    try body.refuseUnknown(except: [key])
    let fields = try body.root(key)
    let known = Set(tables.quotaResources(of: QuotaUsage()).map(\.name))
    try fields.refuseUnknown(except: known.union(others))
    var limits: [String: Int] = [:]
    for name in fields.values.keys where known.contains(name) {
      limits[name] = try fields.integer(name, in: -1...2_147_483_647)
    }
    guard !limits.isEmpty else { throw StorageError.invalid(key, "must have at least one limit.") }
    return limits
  }
}
