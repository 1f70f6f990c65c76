//! Files that nobody exported: each is refused in words, or computed within bounds.

use std::time::{Duration, Instant};

use super::*;

/// A field with bytes.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut made = Vec::new();
    varint(&mut made, u64::from(number) << 3 | 2);
    varint(&mut made, bytes.len() as u64);
    made.extend(bytes);
    made
}

/// A field with a number.
fn int(number: u8, value: i64) -> Vec<u8> {
    let mut made = Vec::new();
    varint(&mut made, u64::from(number) << 3);
    varint(&mut made, value as u64);
    made
}

fn varint(to: &mut Vec<u8>, mut value: u64) {
    while value > 127 {
        to.push(value as u8 | 0x80);
        value >>= 7;
    }
    to.push(value as u8);
}

/// A declaration of floats `[rows, width]`.
fn declared(number: u8, name: &str, width: i64) -> Vec<u8> {
    let axes = [field(1, &[]), field(1, &int(1, width))].concat();
    let tensor = [int(1, 1), field(2, &axes)].concat();
    field(number, &[field(1, name.as_bytes()), field(2, &field(1, &tensor))].concat())
}

/// A node of operator `op`, `more` being its other fields.
fn node(op: &str, inputs: &[&str], outputs: &[&str], more: &[Vec<u8>]) -> Vec<u8> {
    let mut made = field(4, op.as_bytes());
    inputs.iter().for_each(|name| made.extend(field(1, name.as_bytes())));
    outputs.iter().for_each(|name| made.extend(field(2, name.as_bytes())));
    made.extend(more.concat());
    field(1, &made)
}

/// An attribute of a node.
fn attribute(name: &str, value: Vec<u8>) -> Vec<u8> {
    field(5, &[field(1, name.as_bytes()), value].concat())
}

fn ints(values: &[i64]) -> Vec<u8> {
    values.iter().flat_map(|value| int(8, *value)).collect()
}

fn floats(values: &[f32]) -> Vec<u8> {
    field(7, &values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>())
}

/// A file of one graph with input `x` of two columns and output `y`.
fn file(parts: &[Vec<u8>]) -> Vec<u8> {
    let graph = [parts.concat(), declared(11, "x", 2), declared(12, "y", 2)].concat();
    let opset =
        |domain: &str, version| field(8, &[field(1, domain.as_bytes()), int(2, version)].concat());
    [int(1, 8), field(7, &graph), opset("", 17), opset("ai.onnx.ml", 3)].concat()
}

fn load(bytes: &[u8]) -> Result<OnnxEngine, OnnxError> {
    let columns = vec!["a".to_owned(), "b".to_owned()];
    OnnxEngine::of_bytes(bytes, &OnnxSettings { columns, outputs: Vec::new() })
}

/// Why a file of `parts` is refused.
fn refused(parts: &[Vec<u8>]) -> String {
    load(&file(parts)).map(|_| ()).unwrap_err().to_string()
}

const ML: &str = "ai.onnx.ml";

#[test]
fn what_is_not_known_is_named_with_its_node() {
    assert!(load(&file(&[node("Relu", &["x"], &["y"], &[])])).is_ok());
    let named = field(3, b"the_loop");
    assert_eq!(
        refused(&[node("LSTM", &["x"], &["y"], std::slice::from_ref(&named))]),
        "node LSTM `the_loop` (ai.onnx) is not possible here: docs/models.md lists the operators that are, export a model of those"
    );
    let graph = attribute("body", field(6, &[]));
    let message = refused(&[node("Loop", &["x"], &["y"], &[named, graph])]);
    assert!(message.starts_with("it has graphs within nodes"), "{message}");
    let message = refused(&[node("Relu", &["x"], &["y"], &[field(7, b"com.evil")])]);
    assert!(message.contains("operators of the domain `com.evil`"), "{message}");
    let message = refused(&[node("Relu", &["x"], &["y"], &[attribute("alpha", int(3, 1))])]);
    assert!(message.contains("attribute `alpha` is not known here"), "{message}");
    let newer = [file(&[node("Relu", &["x"], &["y"], &[])]), field(8, &int(2, 99))].concat();
    let message = load(&newer).map(|_| ()).unwrap_err().to_string();
    assert!(message.contains("operator set 99 of ai.onnx, and 7 to 24 are known"), "{message}");
}

#[test]
fn data_in_other_files_is_refused_by_the_name_of_the_tensor() {
    let tensor = [field(8, b"weights"), int(1, 2), int(2, 1), field(13, &[]), int(14, 1)].concat();
    let relu = node("Relu", &["x"], &["y"], &[]);
    let message = refused(&[relu.clone(), field(5, &tensor)]);
    assert!(message.starts_with("tensor `weights` lies in another file"), "{message}");
    let inside = attribute("value", field(5, &[tensor, int(14, 1)].concat()));
    let message =
        refused(&[node("Constant", &[], &["w"], &[inside]), node("Add", &["x", "w"], &["y"], &[])]);
    assert!(message.contains("tensor `weights` lies in another file"), "{message}");
}

#[test]
fn sizes_are_checked_against_the_file() {
    let add = node("Add", &["x", "w"], &["y"], &[]);
    let tensor =
        |parts: &[Vec<u8>]| field(5, &[field(8, b"w"), int(2, 1), parts.concat()].concat());
    let message = refused(&[add.clone(), tensor(&[int(1, 1 << 40), field(9, &[0; 8])])]);
    assert!(message.contains("tensor `w` claims more than"), "{message}");
    let message = refused(&[add.clone(), tensor(&[int(1, 1 << 25), int(1, -1)])]);
    assert!(message.contains("tensor `w` claims more than"), "{message}");
    let message = refused(&[add.clone(), tensor(&[int(1, 3), field(9, &[0; 8])])]);
    assert!(message.contains("tensor `w` has 2 elements and claims a shape of [3]"), "{message}");
    let message = refused(&[add, tensor(&vec![int(1, 1); 9])]);
    assert!(message.contains("more than 8 axes"), "{message}");
    // Each step doubles what a row has.
    let mut nodes = vec![node("Concat", &["x", "x"], &["0"], &[attribute("axis", int(3, 1))])];
    for at in 0..60 {
        let (from, to) =
            (at.to_string(), if at == 59 { "y".to_owned() } else { (at + 1).to_string() });
        nodes.push(node("Concat", &[&from, &from], &[&to], &[attribute("axis", int(3, 1))]));
    }
    let message = refused(&nodes);
    assert!(message.contains("more than 262144 elements of a row"), "{message}");
    let many = vec![node("Relu", &["x"], &[""], &[]); NODES_MAX + 1];
    assert!(refused(&many).contains("it has 10001 nodes, and at most 10000 are read"));
}

#[test]
fn graphs_that_go_in_circles_or_say_things_twice_are_refused() {
    let circle = [
        node("Relu", &["q"], &["p"], &[]),
        node("Add", &["p", "x"], &["q"], &[]),
        node("Relu", &["q"], &["y"], &[]),
    ];
    let message = refused(&circle);
    assert!(message.contains("reads `q`, which nothing before it makes"), "{message}");
    let twice = [node("Relu", &["x"], &["y"], &[]), node("Abs", &["x"], &["y"], &[])];
    assert_eq!(refused(&twice), "`y` is made twice: export the model again");
    let relu = node("Relu", &["x"], &["y"], &[]);
    assert!(refused(&[relu.clone(), declared(11, "x", 2)]).contains("inputs cannot be made"));
    assert!(refused(&[relu, declared(12, "y", 2)]).contains("`y` is made twice"));
    assert!(refused(&[]).contains("reads `y`"));
}

#[test]
fn what_mixes_rows_is_refused() {
    let axis = |name: &str, at| attribute(name, int(3, at));
    for (op, more) in
        [("Softmax", axis("axis", 0)), ("ArgMax", axis("axis", 0)), ("Concat", axis("axis", 0))]
    {
        let message = refused(&[node(op, &["x"], &["y"], &[more])]);
        assert!(message.contains("along the rows"), "{op}: {message}");
    }
    let message = refused(&[node("Transpose", &["x"], &["y"], &[])]);
    assert!(message.contains("move the rows"), "{message}");
    let message = refused(&[node("ReduceMean", &["x"], &["y"], &[])]);
    assert!(message.contains("reduce all rows"), "{message}");
    let shape = field(5, &[field(8, b"s"), int(1, 1), int(2, 7), int(7, -1)].concat());
    let message = refused(&[shape, node("Reshape", &["x", "s"], &["y"], &[])]);
    assert!(message.contains("mix rows"), "{message}");
}

/// A node of a tree: number, mode, column, threshold, and where true and false lead.
type Listed<'a> = (i64, &'a str, i64, f32, i64, i64);

/// A tree of nodes (number, mode, column, threshold, true, false), whose leaves weigh 1.
fn tree(nodes: &[Listed<'_>], weights: &[(i64, f32)]) -> Vec<u8> {
    let list = |of: fn(&Listed<'_>) -> i64| ints(&nodes.iter().map(of).collect::<Vec<_>>());
    let modes = nodes.iter().flat_map(|it| field(9, it.1.as_bytes())).collect();
    let own = weights.iter().map(|it| it.0).collect::<Vec<_>>();
    let zeros = vec![0; weights.len()];
    node(
        "TreeEnsembleRegressor",
        &["x"],
        &["y"],
        &[
            field(7, ML.as_bytes()),
            attribute("nodes_treeids", list(|_| 0)),
            attribute("nodes_nodeids", list(|it| it.0)),
            attribute("nodes_modes", modes),
            attribute("nodes_featureids", list(|it| it.2)),
            attribute("nodes_values", floats(&nodes.iter().map(|it| it.3).collect::<Vec<_>>())),
            attribute("nodes_truenodeids", list(|it| it.4)),
            attribute("nodes_falsenodeids", list(|it| it.5)),
            attribute("target_treeids", ints(&zeros)),
            attribute("target_nodeids", ints(&own)),
            attribute("target_ids", ints(&zeros)),
            attribute("target_weights", floats(&weights.iter().map(|it| it.1).collect::<Vec<_>>())),
        ],
    )
}

#[test]
fn trees_that_never_end_or_lead_nowhere_are_refused() {
    let leq = "BRANCH_LEQ";
    let good = [(0, leq, 1, 0.5, 1, 2), (1, "LEAF", 0, 0.0, 0, 0), (2, "LEAF", 0, 0.0, 0, 0)];
    let weights = [(1, 1.0), (2, 2.0)];
    assert!(load(&file(&[tree(&good, &weights)])).is_ok());
    let with = |at: usize, node| {
        let mut nodes = good;
        nodes[at] = node;
        refused(&[tree(&nodes, &weights)])
    };
    assert!(with(0, (0, leq, 1, 0.5, 0, 2)).contains("node 0 of tree 0 leads back to itself"));
    assert!(with(1, (1, leq, 0, 0.5, 0, 2)).contains("leads back to itself"));
    assert!(with(0, (0, leq, 1, 0.5, 7, 2)).contains("leads to node 7, which there is not"));
    assert!(with(0, (0, leq, 2, 0.5, 1, 2)).contains("compares column 2 of 2"));
    assert!(with(0, (0, leq, -1, 0.5, 1, 2)).contains("compares column -1 of 2"));
    assert!(with(0, (0, leq, 1, f32::NAN, 1, 2)).contains("compares with NaN"));
    assert!(with(0, (0, "BRANCH_UP", 1, 0.5, 1, 2)).contains("has a mode that is not known"));
    assert!(with(1, (2, "LEAF", 0, 0.0, 0, 0)).contains("node 2 of tree 0 is there twice"));
    assert!(refused(&[tree(&good, &[(0, 1.0)])]).contains("is for no leaf"));
    assert!(
        refused(&[tree(&good, &[(9, 1.0)])]).contains("for node 9 of tree 0, which there is not")
    );
    assert!(
        refused(&[tree(&good, &[(1, f32::INFINITY)])])
            .contains("a weight of node 1 of tree 0 is inf")
    );
    // A chain of nodes, each of which leads to the next twice: paths without end, but not nodes.
    let mut chain: Vec<_> = (0..60).map(|at| (at, leq, 0, 0.5, at + 1, at + 1)).collect();
    chain.push((60, "LEAF", 0, 0.0, 0, 0));
    assert!(load(&file(&[tree(&chain, &[(60, 1.0)])])).is_ok());
    let mut deep: Vec<_> = (0..5000).map(|at| (at, leq, 0, 0.5, at + 1, at + 1)).collect();
    deep.push((5000, "LEAF", 0, 0.0, 0, 0));
    assert!(refused(&[tree(&deep, &[(5000, 1.0)])]).contains("more than 4096 steps from a leaf"));
}

/// A tensor of floats, or of bytes if they are all whole.
fn tensor(kind: i64, values: &[f32]) -> Vec<u8> {
    let bytes: Vec<u8> = match kind {
        2 => values.iter().map(|value| *value as u8).collect(),
        _ => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
    };
    field(5, &[int(1, values.len() as i64), int(2, kind), field(9, &bytes)].concat())
}

/// A branch of the newer operator: its mode, where true and false values go, and whether to a leaf.
type Branch = (f32, (i64, i64), (i64, i64));

/// The newer operator with so many leaves; branches ask for the values of `members`.
fn five(roots: &[i64], branches: &[Branch], leaves: usize, members: &[f32]) -> Vec<u8> {
    let list = |of: fn(&Branch) -> i64| ints(&branches.iter().map(of).collect::<Vec<_>>());
    let modes: Vec<f32> = branches.iter().map(|it| it.0).collect();
    node(
        "TreeEnsemble",
        &["x"],
        &["y"],
        &[
            field(7, ML.as_bytes()),
            attribute("tree_roots", ints(roots)),
            attribute("nodes_featureids", list(|_| 1)),
            attribute("nodes_modes", tensor(2, &modes)),
            attribute("nodes_splits", tensor(1, &vec![0.5; branches.len()])),
            attribute("nodes_truenodeids", list(|it| it.1.0)),
            attribute("nodes_trueleafs", list(|it| it.1.1)),
            attribute("nodes_falsenodeids", list(|it| it.2.0)),
            attribute("nodes_falseleafs", list(|it| it.2.1)),
            attribute("membership_values", tensor(1, members)),
            attribute("leaf_targetids", ints(&vec![0; leaves])),
            attribute("leaf_weights", tensor(1, &vec![1.0; leaves])),
        ],
    )
}

#[test]
fn trees_of_the_newer_operator_are_refused_as_well() {
    let good = [(0.0, (0, 1), (1, 0)), (6.0, (1, 1), (1, 1))];
    assert!(load(&file(&[five(&[0], &good, 2, &[1.0, 2.0])])).is_ok());
    let with = |at: usize, branch| {
        let mut branches = good;
        branches[at] = branch;
        refused(&[five(&[0], &branches, 2, &[1.0])])
    };
    assert!(with(0, (0.0, (0, 1), (0, 0))).contains("leads back to itself"));
    assert!(with(0, (0.0, (0, 1), (7, 0))).contains("leads to branch 7, which there is not"));
    assert!(with(0, (0.0, (-1, 1), (1, 0))).contains("leads to leaf -1, which there is not"));
    assert!(with(0, (9.0, (0, 1), (1, 0))).contains("branch 0 has mode 9, which is not known"));
    let refused =
        |roots: &[i64], leaves, members: &[f32]| refused(&[five(roots, &good, leaves, members)]);
    assert!(refused(&[0, 1], 2, &[1.0]).contains("branch 1 is in tree 0 and in tree 1"));
    assert!(refused(&[5], 2, &[1.0]).contains("leads to branch 5, which there is not"));
    assert!(refused(&[0], 1, &[1.0]).contains("leads to leaf 1, which there is not"));
    assert!(refused(&[0], 2, &[]).contains("asks for one of no values"));
    assert!(refused(&[], 2, &[1.0]).contains("it has no nodes"));
}

#[test]
fn files_with_wrong_bytes_are_refused_or_computed_in_bounded_time() {
    let seed = 20_260_725_u64;
    eprintln!("seed {seed}");
    let mut state = seed;
    let mut random = move |below: usize| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below.max(1)
    };
    let (mut loaded, mut refusals) = (0, 0);
    for name in [
        "logistic-two",
        "tree",
        "trees-five",
        "perceptron-two",
        "columns-error",
        "operators",
        "xgboost-two",
        "bayes",
        "polynomial",
    ] {
        let (whole, golden) = (bytes(name), golden(name));
        let settings = OnnxSettings { columns: golden.columns.clone(), outputs: Vec::new() };
        let rows = batch(&golden).slice(0, 3);
        for round in 0..120 {
            let mut other = whole.clone();
            match round % 4 {
                0 => other.truncate(random(whole.len())),
                1 => {
                    let (from, to) = (random(whole.len()), random(whole.len()));
                    let len = random(64).min(whole.len() - from.max(to));
                    other.copy_within(from..from + len, to);
                }
                _ => {
                    for _ in 0..=random(4) {
                        let at = random(other.len());
                        other[at] = if round % 2 == 0 {
                            random(256) as u8
                        } else {
                            other[at] ^ 1 << random(8)
                        };
                    }
                }
            }
            let started = Instant::now();
            match OnnxEngine::of_bytes(&other, &settings) {
                Ok(engine) => {
                    loaded += 1;
                    // A column may have another name or type now: a refusal is as good.
                    let _ = engine.run(&rows);
                }
                Err(error) => {
                    refusals += 1;
                    assert!(error.to_string().len() < 4_000, "{name} {round}");
                }
            }
            // A panic in here shows the round; the seed never changes.
            let taken = started.elapsed();
            assert!(taken < Duration::from_secs(20), "{name} {round}: {taken:?}");
        }
    }
    assert!(loaded > 20 && refusals > 50, "{loaded} were loaded, {refusals} refused");
}

#[test]
fn the_documentation_lists_the_operators_that_there_are() {
    let page = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/models.md");
    let page = fs::read_to_string(page).unwrap();
    let section = page.split("\n### Operators\n").nth(1).unwrap().split("\n### ").next().unwrap();
    let mut listed: Vec<&str> = section.split('`').skip(1).step_by(2).collect();
    listed.retain(|word| word.chars().next().is_some_and(char::is_uppercase));
    listed.sort_unstable();
    let mut known: Vec<&str> = ops::table::all().map(|(_, name)| name).chain(["Shape"]).collect();
    known.sort_unstable();
    assert_eq!(listed, known);
}
