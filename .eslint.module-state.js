/**
 * Finds what a module keeps from one call to the next: a variable that is assigned again, an object or a collection that is
 * changed, by another module too, and an object that is made when the module is loaded. Two services in one process would
 * share it, and a zygote's rehearsal would leave its own in it.
 */
/** Methods of arrays, maps and sets. */
const CHANGES = 'set add delete clear push pop shift unshift splice fill sort reverse copyWithin'.split(' ');
/** What these make is found where it is changed. */
const PLAIN = ['Map', 'Set', 'WeakMap', 'WeakSet', 'Array', 'RegExp'];

export const moduleState = {
  meta: {
    type: 'problem',
    schema: [],
    messages: {
      kept: 'The module keeps `{{name}}`, which changes: give it to the object that it belongs to, made with the service.',
    },
  },
  create(context) {
    const report = (node, name) => context.report({ node, messageId: 'kept', data: { name } });
    return {
      Program(program) {
        const scope = context.sourceCode.getScope(program);
        const own = scope.childScopes.find(({ type }) => type === 'module') ?? scope;
        for (const variable of own.variables) {
          const [definition] = variable.defs;
          const init = definition?.node.type === 'VariableDeclarator' ? definition.node.init : undefined;
          if (makesObject(init) || variable.references.some(changes)) report(definition.name, variable.name);
        }
      },
      'PropertyDefinition[static=true]'(node) {
        if (!node.readonly || makesObject(node.value) || /^(New|Array|Object)Expression$/.test(node.value?.type))
          report(node, context.sourceCode.getText(node.key));
      },
    };
  },
};

function makesObject(init) {
  return init?.type === 'NewExpression' && !PLAIN.includes(init.callee.name);
}

/** Is the variable assigned here after its declaration, or what it holds changed? */
function changes(reference) {
  if (reference.isWrite() && !reference.init) return true;
  let node = reference.identifier;
  while (node.parent.type === 'TSNonNullExpression' || node.parent.type === 'TSAsExpression') node = node.parent;
  const { parent } = node;
  if (parent.type !== 'MemberExpression' || parent.object !== node) return false;
  const { parent: user } = parent;
  if (user.type === 'AssignmentExpression') return user.left === parent;
  if (user.type === 'UpdateExpression') return true;
  if (user.type === 'UnaryExpression') return user.operator === 'delete';
  return user.type === 'CallExpression' && user.callee === parent && CHANGES.includes(parent.property.name);
}
