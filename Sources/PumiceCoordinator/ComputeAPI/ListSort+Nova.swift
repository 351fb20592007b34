import PumiceModel

extension ListSort {
  /// As Nova is asked: by `sort_key` and `sort_dir`, which may be repeated. The first key comes first.
  ///
  /// - Parameters:
  ///   - keys: What elements are compared by.
  ///   - alike: Further keys, by which all elements are alike.
  ///   - isDescending: Where the query has no direction.
  /// - Throws: `invalid` for a key or a direction that is none, and for more directions than keys.
  fileprivate init(
    nova query: Query, keys: [String: Comparison], alike: Set<String>, isDescending: Bool
  ) throws(StorageError) {
    let names = query.items.filter { $0.name == "sort_key" }.map(\.value)
    var directions: [Bool] = []
    for item in query.items where item.name == "sort_dir" {
      guard let direction = ["asc": false, "desc": true][item.value] else {
        throw .invalid("sort_dir", "must be asc or desc, not '\(item.value.prefix(40))'.")
      }
      directions.append(direction)
    }
    guard directions.count <= max(names.count, 1) else {
      throw .invalid("sort_dir", "must not be there more often than sort_key.")
    }
    var parts: [(compare: Comparison, isAscending: Bool)] = []
    for (index, name) in names.enumerated() {
      if alike.contains(name) { continue }
      guard let key = keys[name] else {
        throw .invalid("sort_key", "must be one of \(keys.keys.sorted().joined(separator: ", ")).")
      }
      parts.append((key, !(index < directions.count ? directions[index] : directions.first ?? isDescending)))
    }
    self.init(parts)
  }
}

extension ListSort<InstanceOnNode> {
  init(servers query: Query) throws(StorageError) {
    try self.init(
      nova: query,
      keys: [
        "display_name": { $0.instance.name.order(to: $1.instance.name) },
        "hostname": { $0.instance.name.order(to: $1.instance.name) },
        "uuid": { $0.instance.id.order(to: $1.instance.id) }, "host": { $0.node.name.order(to: $1.node.name) },
        "node": { $0.node.name.order(to: $1.node.name) },
        "availability_zone": { $0.node.availabilityZone.order(to: $1.node.availabilityZone) },
        "created_at": { $0.node.registeredAt.order(to: $1.node.registeredAt) },
        "updated_at": { $0.reportedAt.order(to: $1.reportedAt) },
        "vm_state": {
          ServerResource.states($0.instance.status).vm.order(to: ServerResource.states($1.instance.status).vm)
        },
        "power_state": {
          ServerResource.states($0.instance.status).power.order(to: ServerResource.states($1.instance.status).power)
        },
        "instance_type_id": { Flavor($0.instance).id.order(to: Flavor($1.instance).id) },
      ],
      alike: [
        "access_ip_v4", "access_ip_v6", "auto_disk_config", "config_drive", "display_description", "image_ref",
        "kernel_id", "key_name", "launch_index", "launched_at", "locked", "locked_by", "progress", "project_id",
        "ramdisk_id", "root_device_name", "task_state", "terminated_at", "user_id",
      ], isDescending: true)
  }
}

extension ListSort<Flavor> {
  init(flavors query: Query) throws(StorageError) {
    try self.init(
      nova: query,
      keys: [
        "flavorid": { $0.id.order(to: $1.id) }, "name": { $0.id.order(to: $1.id) }, "id": { $0.id.order(to: $1.id) },
        "memory_mb": { $0.mebibytes.order(to: $1.mebibytes) }, "vcpus": { $0.vcpus.order(to: $1.vcpus) },
      ],
      alike: [
        "created_at", "description", "disabled", "ephemeral_gb", "is_public", "root_gb", "rxtx_factor", "swap",
        "updated_at", "vcpu_weight",
      ], isDescending: false)
  }
}
