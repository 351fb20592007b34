import ArgumentParser

/// How results are printed.
struct OutputOptions: ParsableArguments {
  @Flag(help: "Print JSON: an object, or an array for lists.")
  var json = false

  @Flag(name: [.short, .long], help: "Print ids only, one per line.")
  var quiet = false

  func validate() throws {
    if json && quiet { throw ValidationError("--json and --quiet exclude each other.") }
  }

  /// Prints a list: as `row` makes its lines, as JSON, or as ids.
  func print<Resource: NamedResource>(
    _ resources: [Resource], none: String, _ columns: [Table.Column], row: (Resource) -> [String]
  ) {
    if json {
      Console.current.write(JSONValue.array(resources.map(\.json)).pretty)
    } else if quiet {
      for resource in resources { Console.current.write(resource.id) }
    } else if resources.isEmpty {
      Console.current.complain(none)
    } else {
      var table = Table(columns)
      for resource in resources { table.append(row(resource)) }
      Console.current.write(table.text)
    }
  }

  /// Prints one thing: its facts, as JSON, or its id.
  func print(_ resource: some NamedResource, facts: () -> [(name: String, value: String)]) {
    if json {
      Console.current.write(resource.json.pretty)
    } else if quiet {
      Console.current.write(resource.id)
    } else {
      Console.current.write(Table.facts(facts()))
    }
  }

  /// Says what was done to one thing; shows that in JSON.
  func confirm(_ sentence: @autoclosure () -> String, _ resource: some NamedResource) {
    if json {
      Console.current.write(resource.json.pretty)
    } else {
      confirm(sentence(), id: resource.id)
    }
  }

  /// Says what was done; only ids where those were asked for, and nothing in between the JSON.
  func confirm(_ sentence: @autoclosure () -> String, id: String) {
    if quiet {
      Console.current.write(id)
    } else if !json {
      Console.current.write(Table.printable(sentence()))
    }
  }
}
