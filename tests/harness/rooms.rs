//! The rooms of src/: a file imports only from its own room and from the rooms before it, and no import leads back to
//! where it began. docs/architecture.md says what each room is for.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};
use syn::{Attribute, ItemUse, UseTree};

/// Each room may import those before it.
const ROOMS: [&str; 9] = ["local", "model", "remote", "launch", "connect", "watch", "manager", "session", "capi"];

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// A file's place among the modules: `["watch", "state"]` for src/watch/state.rs, `["watch"]` for src/watch/mod.rs.
type Module = Vec<String>;

/// All modules of the crate with their files, but for the root.
fn modules() -> BTreeMap<Module, PathBuf> {
    let (mut directories, mut modules) = (vec![source()], BTreeMap::new());
    while let Some(directory) = directories.pop() {
        for path in fs::read_dir(directory).unwrap().flatten().map(|entry| entry.path()) {
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let place = path.strip_prefix(source()).unwrap().with_extension("");
                let mut module: Module = place.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
                if module.last().is_some_and(|name| name == "mod") {
                    module.pop();
                }
                modules.insert(module, path);
            }
        }
    }
    modules.remove(&vec!["lib".to_owned()]);
    let tests: Vec<Module> = modules.iter().flat_map(|(module, file)| test_modules(module, file)).collect();
    modules.retain(|module, _| !tests.iter().any(|test| module.starts_with(test)));
    modules
}

/// The modules with files of their own that a module has for its tests.
fn test_modules(module: &Module, file: &Path) -> Vec<Module> {
    let items = parse(file).items.into_iter().filter_map(|item| match item {
        syn::Item::Mod(item) if item.content.is_none() && item.attrs.iter().any(is_for_tests) => Some(item),
        _ => None,
    });
    items.map(|item| [&module[..], &[item.ident.to_string()]].concat()).collect()
}

fn parse(file: &Path) -> syn::File {
    let text = fs::read_to_string(file).unwrap();
    syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// The paths from the root of the crate that a file names, but for its tests.
struct Paths<'a> {
    module: &'a [String],
    paths: BTreeSet<Module>,
}

impl Paths<'_> {
    fn of(module: &[String], file: &Path) -> BTreeSet<Module> {
        let mut paths = Paths { module, paths: BTreeSet::new() };
        paths.visit_file(&parse(file));
        paths.paths
    }

    fn add(&mut self, path: &[String]) {
        let up = path.iter().take_while(|part| *part == "super").count();
        let base = self.module.len().saturating_sub(up);
        match path.first().map(String::as_str) {
            Some("crate") => self.paths.insert(path[1..].to_vec()),
            Some("super") => self.paths.insert([&self.module[..base], &path[up..]].concat()),
            _ => return,
        };
    }

    fn add_tree(&mut self, tree: &UseTree, before: &[String]) {
        let with = |name: &syn::Ident| [before, &[name.to_string()]].concat();
        match tree {
            UseTree::Path(path) => self.add_tree(&path.tree, &with(&path.ident)),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.add_tree(tree, before)),
            UseTree::Name(name) if name.ident == "self" => self.add(before),
            UseTree::Name(name) => self.add(&with(&name.ident)),
            UseTree::Rename(rename) => self.add(&with(&rename.ident)),
            UseTree::Glob(_) => self.add(before),
        }
    }
}

impl<'ast> Visit<'ast> for Paths<'_> {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        let attributes = match item {
            syn::Item::Mod(item) => &item.attrs,
            syn::Item::Use(item) => &item.attrs,
            syn::Item::Fn(item) => &item.attrs,
            syn::Item::Impl(item) => &item.attrs,
            _ => return visit::visit_item(self, item),
        };
        if !attributes.iter().any(is_for_tests) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.add_tree(&item.tree, &[]);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let parts: Vec<_> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.add(&parts);
        visit::visit_path(self, path);
    }
}

fn is_for_tests(attribute: &Attribute) -> bool {
    attribute.path().is_ident("cfg") && attribute.parse_args::<syn::Path>().is_ok_and(|what| what.is_ident("test"))
}

/// For each module, those that it imports.
type Imports = BTreeMap<Module, BTreeSet<Module>>;

fn imports() -> Imports {
    let modules = modules();
    let home = |path: &Module| {
        let length = (1..=path.len()).rev().find(|length| modules.contains_key(&path[..*length]))?;
        Some(path[..length].to_vec())
    };
    let of = |(module, file): (&Module, &PathBuf)| {
        let imported = Paths::of(module, file).iter().filter_map(home).filter(|other| other != module).collect();
        (module.clone(), imported)
    };
    modules.iter().map(of).collect()
}

#[test]
fn the_source_has_rooms_and_nothing_beside_them() {
    let names = fs::read_dir(source()).unwrap().flatten().map(|entry| entry.file_name().into_string().unwrap());
    let mut expected: BTreeSet<_> = ROOMS.map(str::to_owned).into();
    expected.insert("lib.rs".to_owned());
    assert_eq!(names.collect::<BTreeSet<_>>(), expected);
}

/// Describes an import of a room behind the file's own.
fn wrong_way(imports: &Imports) -> Vec<String> {
    let rank = |module: &Module| ROOMS.iter().position(|room| *room == module[0]).unwrap();
    let pairs = imports.iter().flat_map(|(from, to)| to.iter().map(move |to| (from, to)));
    let wrong = pairs.filter(|(from, to)| rank(from) < rank(to));
    wrong.map(|(from, to)| format!("{} imports {}", from.join("::"), to.join("::"))).collect()
}

/// Describes an import that leads back to a module of `way`, the modules before this one.
fn circle(imports: &Imports, module: &Module, way: &mut Vec<Module>, done: &mut BTreeSet<Module>) -> Option<String> {
    if let Some(at) = way.iter().position(|before| before == module) {
        let names: Vec<_> = way[at..].iter().map(|module| module.join("::")).collect();
        return Some(names.join(" imports "));
    }
    if done.contains(module) {
        return None;
    }
    way.push(module.clone());
    let found = imports[module].iter().find_map(|next| circle(imports, next, way, done));
    way.pop();
    done.insert(module.clone());
    found
}

fn any_circle(imports: &Imports) -> Option<String> {
    let mut done = BTreeSet::new();
    imports.keys().find_map(|module| circle(imports, module, &mut Vec::new(), &mut done))
}

#[test]
fn a_room_imports_only_rooms_before_it() {
    assert_eq!(wrong_way(&imports()), Vec::<String>::new());
}

#[test]
fn no_import_leads_back_to_where_it_began() {
    assert_eq!(any_circle(&imports()), None);
}

/// The imports above are found at all.
#[test]
fn a_wrong_import_and_a_circle_are_noticed() {
    let module = |path: &str| path.split("::").map(str::to_owned).collect::<Module>();
    let mut imports = imports();
    assert!(imports[&module("watch::channel")].contains(&module("watch::case")));
    assert!(imports[&module("capi::manager")].contains(&module("capi::boundary")));
    imports.get_mut(&module("watch::case")).unwrap().insert(module("watch::channel"));
    assert_eq!(any_circle(&imports).as_deref(), Some("watch::case imports watch::channel"));
    imports.get_mut(&module("model::error")).unwrap().insert(module("watch::state"));
    assert_eq!(wrong_way(&imports), ["model::error imports watch::state"]);
}
