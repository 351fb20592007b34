import HTTPTypes
import PumiceModel

/// The routes of all façades that need a permission, described as OpenAPI 3.1 has it.
///
/// It is made from the very routes that are served. One that nobody described is in it with its path and role alone, and makes a
/// test fail.
struct OpenAPIDocument {
  let json: JSONValue

  init(_ routes: [RegisteredRoute], _ descriptions: [String: OperationDescription] = OperationDescription.all) {
    var paths: [String: [String: JSONValue]] = [:]
    for (place, routes) in Dictionary(grouping: routes, by: { Place(path: $0.fullPath, method: $0.method.rawValue) }) {
      paths[place.path, default: [:]][place.method.lowercased()] = Self.operation(routes, descriptions)
    }
    json = [
      "openapi": "3.1.0",
      "info": [
        "title": "Pumice",
        "version": .string("\(BlockStorageRoutes.versions.greatest)"),
        "description": """
        What Cinder's and Nova's clients call, and Pumice's own API. Below /v3 and /compute/v2.1 a project's id may stand \
        before the rest of the path.
        """,
      ],
      "security": [["token": []]],
      "paths": .object(paths.mapValues { .object($0) }),
      "components": [
        "parameters": .object(
          Dictionary(
            uniqueKeysWithValues: [BlockStorageRoutes.versions, ComputeRoutes.versions].map {
              ("\($0.service)-version", Self.parameter("OpenStack-API-Version", in: "header", .word($0.words)))
            })),
        "schemas": .object(OperationDescription.shared.mapValues(\.json)),
        "securitySchemes": ["token": ["type": "apiKey", "in": "header", "name": "X-Auth-Token"]],
      ],
    ]
  }

  private struct Place: Hashable {
    let path: String
    let method: String
  }

  private static func operation(
    _ routes: [RegisteredRoute], _ descriptions: [String: OperationDescription]
  ) -> JSONValue {
    let route = routes[0]
    let known = routes.compactMap { descriptions[$0.name] }
    let query = known.reduce(into: [:]) { $0.merge($1.query) { one, _ in one } }
    var parameters = route.captures.map { parameter($0, in: "path", captureSchema($0, of: route)) }
    parameters += query.sorted { $0.key < $1.key }.map { parameter($0.key, in: "query", $0.value) }
    if let versions = route.versions {
      parameters.append(["$ref": .string("#/components/parameters/\(versions.service)-version")])
    }
    var members: [String: JSONValue] = [
      "summary": .string(known.map(\.summary).joined(separator: "; ")), "tags": [.string(route.prefixes[0])],
      "parameters": .array(parameters), "responses": responses(known),
      "x-role": .object(
        Dictionary(
          routes.map { ($0.action ?? "", .string($0.permission.leastRole.rawValue)) },
          uniquingKeysWith: { one, _ in one })),
    ]
    let since = routes.compactMap { route in route.since.map { (route.action ?? "", JSONValue.string("\($0)")) } }
    if !since.isEmpty { members["x-since"] = .object(Dictionary(since) { one, _ in one }) }
    let bodies = known.compactMap(\.body)
    if !bodies.isEmpty {
      let schema = bodies.count == 1 ? bodies[0] : .either(bodies)
      members["requestBody"] = ["required": true, "content": ["application/json": ["schema": schema.json]]]
    }
    return .object(members)
  }

  private static func responses(_ known: [OperationDescription]) -> JSONValue {
    var responses: [String: JSONValue] = [
      "default": [
        "description": "What went wrong",
        "content": ["application/json": ["schema": Schema.shared("error").json]],
      ]
    ]
    for (status, operations) in Dictionary(grouping: known, by: \.status) {
      var response: [String: JSONValue] = ["description": "Done"]
      let answers = operations.compactMap(\.answer)
      // Where only some actions have an answer, what it looks like depends on the action.
      if answers.count == operations.count, let first = answers.first {
        let schema = answers.count == 1 ? first : .either(answers)
        response["content"] = ["application/json": ["schema": schema.json]]
      }
      responses["\(status)"] = .object(response)
    }
    return .object(responses)
  }

  private static func parameter(_ name: String, in place: String, _ schema: Schema) -> JSONValue {
    ["name": .string(name), "in": .string(place), "required": .bool(place == "path"), "schema": schema.json]
  }

  private static func captureSchema(_ name: String, of route: RegisteredRoute) -> Schema {
    let isIdentity = ["id", "server", "volume"].contains(name) && !route.path.hasPrefix("flavors")
    return isIdentity ? .id : .text(atLeast: 1)
  }
}

extension RegisteredRoute {
  fileprivate var fullPath: String { "/\(prefixes[0])/\(path)" }

  /// The names in its path, in their order.
  fileprivate var captures: [String] {
    fullPath.split(separator: "/").filter { $0.hasPrefix("{") }.map { String($0.dropFirst().dropLast()) }
  }

  /// `nil` for a route without microversions.
  fileprivate var versions: APIVersions? {
    switch prefixes[0] {
    case "v3": BlockStorageRoutes.versions
    case "compute/v2.1": ComputeRoutes.versions
    default: nil
    }
  }
}

extension APIVersions {
  /// All that may stand in the header.
  fileprivate var words: [String] {
    ["\(service) latest"] + (least.minor...greatest.minor).map { "\(service) \(least.major).\($0)" }
  }
}
