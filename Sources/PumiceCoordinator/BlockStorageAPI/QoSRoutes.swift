import HTTPTypes
import HashTreeCollections
import Hummingbird
import Logging
import PumiceModel

/// A QoS spec as Cinder shows it.
private struct QoSSpecResource: Encodable {
  let id: String
  let name: String
  let consumer: String
  let specs: [String: String]

  init(_ spec: QoSSpec) {
    id = spec.id.description
    name = spec.name
    consumer = spec.consumer.rawValue
    specs = spec.rules
  }
}

private struct QoSSpecAnswer: Encodable {
  let spec: QoSSpecResource
  let links: [Link]

  enum CodingKeys: String, CodingKey {
    case links
    case spec = "qos_specs"
  }
}

private struct QoSSpecList: Encodable {
  let specs: [QoSSpecResource]
  var links: [Link]?

  enum CodingKeys: String, CodingKey {
    case specs = "qos_specs"
    case links = "qos_specs_links"
  }
}

private struct Association: Encodable {
  let kind = "volume_type"
  let id: String
  let name: String

  enum CodingKeys: String, CodingKey {
    case id, name
    case kind = "association_type"
  }
}

extension BlockStorageRoutes {
  func addQoSSpecs(to routes: Routes) {
    routes.on(.get, "qos-specs", needs: .writeTypes) { call in
      let specs = call.tables.qosSpecs.values.sorted { ($1.createdAt, $1.id) < ($0.createdAt, $0.id) }
      let (slice, hasMore) = try Page(call.query).slice(of: specs) { $0.id.description }
      var list = QoSSpecList(specs: slice.map { QoSSpecResource($0) })
      if hasMore, let last = slice.last { list.links = [call.nextPage(after: last.id.description)] }
      return try Response.json(list)
    }
    routes.on(.post, "qos-specs", needs: .writeTypes) { call in
      let body = try await call.body()
      try body.refuseUnknown(except: ["qos_specs"])
      let fields = try body.root("qos_specs")
      let name = try fields.requiredText("name")
      let consumer = try fields.consumer() ?? .backEnd
      let rules = try fields.qosRules()
      let (now, surroundings) = (call.now, call.api.surroundings)
      let spec = try await call.api.store.write {
        try $0.createQoSSpec(name: name, consumer: consumer, rules: rules, at: now, in: surroundings)
      }
      call.context.logger.info("QoS spec created", metadata: ["qos.id": "\(spec.id)", "qos.name": "\(name)"])
      return try call.show(spec)
    }
    routes.on(.get, "qos-specs/:id", needs: .writeTypes) { call in
      try call.show(try call.tables.qosSpec(try call.id("id", ofA: "QoS spec")))
    }
    routes.on(.put, "qos-specs/:id", needs: .writeTypes) { call in
      let id: QoSSpecID = try call.id("id", ofA: "QoS spec")
      let body = try await call.body()
      try body.refuseUnknown(except: ["qos_specs"])
      let fields = try body.root("qos_specs")
      guard !fields.has("name") else { throw StorageError.invalid("name", "can't be changed.") }
      let (consumer, rules) = (try fields.consumer(), try fields.qosRules())
      guard consumer != nil || !rules.isEmpty else {
        throw StorageError.invalid("qos_specs", "must have at least one entry.")
      }
      try await call.api.store.write { try $0.setQoSSpec(id, rules, consumer: consumer) }
      call.context.logger.info("QoS spec changed", metadata: ["qos.id": "\(id)"])
      var changes = rules
      changes["consumer"] = consumer?.rawValue
      return try Response.json(["qos_specs": changes])
    }
    routes.on(.put, "qos-specs/:id/delete_keys", needs: .writeTypes) { call in
      let id: QoSSpecID = try call.id("id", ofA: "QoS spec")
      let body = try await call.body()
      try body.refuseUnknown(except: ["keys"])
      let keys = try body.requiredNames("keys")
      try await call.api.store.write { try $0.unsetQoSSpec(id, keys) }
      return .accepted
    }
    routes.on(.delete, "qos-specs/:id", needs: .writeTypes) { call in
      let id: QoSSpecID = try call.id("id", ofA: "QoS spec")
      let isForced = try call.query.flag("force")
      try await call.api.store.write { try $0.deleteQoSSpec(id, isForced: isForced) }
      call.context.logger.info("QoS spec deleted", metadata: ["qos.id": "\(id)"])
      return .accepted
    }
    addAssociations(to: routes)
  }

  /// Cinder changes these with GET, so clients do.
  private func addAssociations(to routes: Routes) {
    routes.on(.get, "qos-specs/:id/associations", needs: .writeTypes) { call in
      let id = try call.tables.qosSpec(try call.id("id", ofA: "QoS spec")).id
      let types = call.tables.types(with: id)
      return try Response.json([
        "qos_associations": types.map { Association(id: $0.id.description, name: $0.name) }
      ])
    }
    routes.on(.get, "qos-specs/:id/associate", needs: .writeTypes) { call in
      let (id, type) = (try call.id("id", ofA: "QoS spec") as QoSSpecID, try call.typeInQuery())
      try await call.api.store.write { try $0.associate(id, with: type) }
      call.context.logger.info("QoS spec associated", metadata: ["qos.id": "\(id)", "type.id": "\(type)"])
      return .accepted
    }
    routes.on(.get, "qos-specs/:id/disassociate", needs: .writeTypes) { call in
      let (id, type) = (try call.id("id", ofA: "QoS spec") as QoSSpecID, try call.typeInQuery())
      try await call.api.store.write { try $0.disassociate(id, from: type) }
      call.context.logger.info("QoS spec disassociated", metadata: ["qos.id": "\(id)", "type.id": "\(type)"])
      return .accepted
    }
    routes.on(.get, "qos-specs/:id/disassociate_all", needs: .writeTypes) { call in
      let id: QoSSpecID = try call.id("id", ofA: "QoS spec")
      try await call.api.store.write { try $0.disassociateAll(from: id) }
      call.context.logger.info("QoS spec disassociated from all", metadata: ["qos.id": "\(id)"])
      return .accepted
    }
  }
}

extension Call {
  fileprivate func show(_ spec: QoSSpec) throws -> Response {
    let project = Query.encoded(caller.project)
    return try Response.json(
      QoSSpecAnswer(
        spec: QoSSpecResource(spec),
        links: [
          Link(rel: "self", href: "\(baseURL)/v3/\(project)/qos-specs/\(spec.id)"),
          Link(rel: "bookmark", href: "\(baseURL)/\(project)/qos-specs/\(spec.id)"),
        ]))
  }

  fileprivate func typeInQuery() throws -> VolumeTypeID {
    guard let text = query["vol_type_id"], !text.isEmpty else {
      throw StorageError.invalid("vol_type_id", "is required.")
    }
    guard let id = VolumeTypeID(text) else {
      throw StorageError(.notFound, "Volume type \(text.prefix(64)) could not be found.")
    }
    return id
  }
}

extension RequestFields {
  fileprivate func consumer() throws(StorageError) -> QoSSpec.Consumer? {
    guard let text = try text("consumer") else { return nil }
    guard let consumer = QoSSpec.Consumer(rawValue: text) else {
      throw .invalid(
        "consumer",
        "must be \(QoSSpec.Consumer.allCases.map(\.rawValue).joined(separator: ", ")), not '\(text.prefix(40))'.")
    }
    return consumer
  }

  /// All but name and consumer. Numbers may be written as such.
  fileprivate func qosRules() throws(StorageError) -> [String: String] {
    let texts = values.filter { $0.key != "name" && $0.key != "consumer" && $0.value != .null }.mapValues { value in
      if case .integer(let number) = value { return JSONValue.string("\(number)") }
      return value
    }
    return try RequestFields(texts).allTexts()
  }

  /// A list of names, each of 1 to 255 characters.
  func requiredNames(_ name: String) throws(StorageError) -> [String] {
    guard let value = value(name) else { throw .invalid(name, "is required.") }
    guard case .array(let items) = value, items.count <= 128 else {
      throw .invalid(name, "must be a list of at most 128 names, not \(value.excerpt).")
    }
    var names: [String] = []
    for item in items {
      guard let text = try RequestFields([name: item]).text(name, mayBeEmpty: false) else {
        throw .invalid(name, "must have no null.")
      }
      guard !names.contains(text) else { throw .invalid(name, "must not have '\(text.prefix(64))' twice.") }
      names.append(text)
    }
    return names
  }
}
